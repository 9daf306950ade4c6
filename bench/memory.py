"""`./dev bench memory [GB…]`: the most memory that a backup's own process holds while gigabytes pass through it.

The data comes from a generator instead of a database, in a process of its own which has loaded what `wbagent backup run`
loads: compressed, encrypted when age is there, uploaded in parts to a real store, read back and compared.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from bench.measurement import Measurement
from tests.testbed.ceph import Ceph

SIZES_GB: Final = (2, 20)
_CHUNK: Final = 1 << 20
_BLOCK: Final = 8 << 20
_STORE_GB: Final = 24


def measure(*sizes: int) -> Measurement:
    """Each size once, on a store that keeps its objects on disk."""
    figures = Measurement("memory")
    with Ceph(disk_gb=_STORE_GB) as store:
        store.create_bucket("memory")
        url = str(store.url("memory"))
        for size in sizes or SIZES_GB:
            for recipient in _recipients():
                party = f"{size} GB" + (", encrypted" if recipient else "")
                command = [sys.executable, "-m", "bench.memory", url, str(size), recipient]
                said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
                for metric, value in json.loads(said).items():
                    figures.add(party, metric, value)
                print(party, said, flush=True)
    return figures


def _recipients() -> tuple[str, ...]:
    if not shutil.which("age"):
        print("no age: without encryption", flush=True)
        return ("",)
    made = subprocess.run(["age-keygen"], capture_output=True, text=True, check=True).stdout
    return ("", made.split("public key: ")[1].split()[0])


def _chunks(size: int) -> Iterator[bytes]:
    """Rows of JSON, text and hexadecimal blobs, which zstd makes less than half of; no part comes twice as it was."""
    rng = random.Random(1)  # noqa: S311 - data to measure with
    block = bytearray()
    while len(block) < _BLOCK:
        row = {"id": rng.getrandbits(40), "loss": rng.random(), "tags": ["baseline", "sweep"][: rng.randrange(3)]}
        block += f"INSERT INTO `history` VALUES ({json.dumps(row)},0x{rng.randbytes(600).hex()});\n".encode()
    made = 0
    while made < size:
        start = rng.randrange(len(block) - _CHUNK)
        yield bytes(block[start : start + _CHUNK])
        made += _CHUNK


def _stream(url: str, gigabytes: int, recipient: str) -> dict[str, float]:
    """Back up so much; what it took."""
    import wbagent.backup.job  # noqa: F401, PLC0415 - the measured process holds what a backup's process holds
    from wbagent.backup.pipeline import Packing, packed  # noqa: PLC0415
    from wbagent.backup.progress import Meter  # noqa: PLC0415
    from wbagent.backup.reading import prove  # noqa: PLC0415
    from wbagent.bucket.open import open_store  # noqa: PLC0415
    from wbagent.config.dsn import S3URL  # noqa: PLC0415
    from wbagent.config.model import BackupSettings  # noqa: PLC0415

    settings = BackupSettings(destination=S3URL.parse(url))
    store = open_store(settings, Path(), patient=True, paced=True)
    packing = Packing(settings.compression_level, settings.compression_threads, [recipient] if recipient else [])
    meter, begun, size = Meter("dumping", lambda progress: None), time.monotonic(), gigabytes * 10**9
    with ExitStack() as stack:
        writer = stack.enter_context(store.writer("data", largest=size))
        pipeline = stack.enter_context(packed(packing, writer, meter))
        for chunk in _chunks(size):
            pipeline.write(chunk)
        stored = pipeline.finish("data")
        writer.commit()
    prove(store, "data", stored, meter)
    took = time.monotonic() - begun
    store.delete("data")
    return {"peak_rss_mb": _peak_mb(), "stored_mb": stored.size / 1e6, "wall_s": took, "cpu_s": time.process_time()}


def _peak_mb() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6


if __name__ == "__main__":
    os.nice(5)
    print(json.dumps(_stream(sys.argv[1], int(sys.argv[2]), sys.argv[3])))
