"""`./dev bench memory [GB]`: the most memory that a backup's own process holds while gigabytes pass through it.

The data comes from a generator instead of a database, in a process of its own which has loaded what `wbagent backup
run` loads: compressed, encrypted when age is there, uploaded in parts to a real store, read back and compared.
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
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

import psutil

from bench.measurement import Measurement
from bench.usage import Command
from tests.testbed.ceph import Ceph
from tests.testbed.errors import BedError

SIZES_GB: Final = (2, 20)
_CHUNK: Final = 1 << 20
_BLOCK: Final = 8 << 20
_STORE_GB: Final = 24
_ENGINES: Final = ("mysqldump", "clone")
_EVERY_S: Final = 0.1


def measure(*sizes: int) -> Measurement:
    """Each size once, the smallest also encrypted, on a store that keeps its objects on disk; then whole runs."""
    figures = Measurement("memory")
    # As wbagent-backup.service sets it.
    os.environ["MALLOC_MMAP_THRESHOLD_"] = "262144"
    wanted = [(size, "") for size in sizes or SIZES_GB]
    with Ceph(disk_gb=_STORE_GB) as store:
        store.create_bucket("memory")
        for size, recipient in [*wanted, *((wanted[0][0], key) for key in _recipients())]:
            party = f"{size} GB" + (", encrypted" if recipient else "")
            command = [sys.executable, "-m", "bench.memory", str(store.url("memory")), str(size), recipient]
            said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
            for metric, value in json.loads(said).items():
                figures.add(party, metric, value)
            print(party, said, flush=True)
    _whole_runs(figures)
    return figures


def _whole_runs(figures: Measurement) -> None:
    """The whole of `wbagent backup run --in-process` of the 2 GB of `./dev bench backup`, its programs told apart."""
    from bench.backup import sample_place  # noqa: PLC0415 - not to be in the memory of the process that is measured
    from bench.backup_parties import Wbagent  # noqa: PLC0415

    with sample_place() as place:
        for engine in _ENGINES:
            for name, peak in _peaks(Wbagent(place, engine).command("backup", "run", "--in-process")).items():
                figures.add(f"whole run, {engine}: {name}", "peak_rss_mb", peak)


def _peaks(command: Command) -> dict[str, float]:
    """The most that each program held, by its name; raises BedError when the run fails."""
    peaks: dict[str, float] = {}
    with subprocess.Popen(command.argv, env={**os.environ, **dict(command.environment)}) as process:
        while process.poll() is None:
            with suppress(psutil.NoSuchProcess, ProcessLookupError, FileNotFoundError, IndexError):
                own = psutil.Process(process.pid)
                for each in (own, *own.children(recursive=True)):
                    name = "wbagent" if each is own else each.name()
                    peaks[name] = max(_peak_mb(each.pid), peaks.get(name, 0.0))
            time.sleep(_EVERY_S)
    if process.returncode:
        raise BedError(f"the backup failed with status {process.returncode}")
    return peaks


def _recipients() -> tuple[str, ...]:
    """A key to encrypt to, where age is there."""
    if not shutil.which("age"):
        print("no age: without encryption", flush=True)
        return ()
    command = ["age-keygen"]
    made = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return (made.split("public key: ")[1].split()[0],)


def _chunks(size: int) -> Iterator[bytes]:
    """Rows of JSON, text and hexadecimal blobs, which zstd makes less than half of; no part comes twice as it was."""
    rng = random.Random(1)  # noqa: S311 - data to measure with
    block = bytearray()
    while len(block) < _BLOCK:
        row = {"id": rng.getrandbits(40), "loss": rng.random(), "tags": ["baseline", "sweep"][: rng.randrange(3)]}
        block += f"VALUES ({json.dumps(row)},0x{rng.randbytes(600).hex()});\n".encode()
    made = 0
    while made < size:
        start = rng.randrange(len(block) - _CHUNK)
        yield bytes(block[start : start + _CHUNK])
        made += _CHUNK


def _stream(url: str, gigabytes: int, recipient: str) -> dict[str, float]:
    """Back up so much; what it took."""
    import wbagent.backup.job  # noqa: F401, PLC0415 - the measured process holds what a backup's process holds
    from wbagent.backup.layout import object_key  # noqa: PLC0415
    from wbagent.backup.pipeline import Packing, packed  # noqa: PLC0415
    from wbagent.backup.progress import Meter  # noqa: PLC0415
    from wbagent.backup.storing import Storing, size_for  # noqa: PLC0415
    from wbagent.bucket.open import open_store  # noqa: PLC0415
    from wbagent.config.dsn import S3URL  # noqa: PLC0415
    from wbagent.config.model import BackupSettings  # noqa: PLC0415

    settings = BackupSettings(destination=S3URL.parse(url))
    store = open_store(settings, Path(), patient=True, paced=True)
    packing = Packing(settings.compression_level, settings.compression_threads, [recipient] if recipient else [])
    meter, begun, size = Meter("dumping", lambda progress: None), time.monotonic(), gigabytes * 10**9
    with ExitStack() as stack:
        object_size = size_for(size, settings.object_size)
        storing = stack.enter_context(Storing(store, ("bench", "data"), "data", object_size))
        pipeline = stack.enter_context(packed(packing, storing, meter))
        for chunk in _chunks(size):
            pipeline.write(chunk)
        plain = pipeline.finish()
        storing.commit()
        stored = storing.proven(plain, lambda progress: None)
    took = time.monotonic() - begun
    store.withdraw([object_key("bench", "data", piece.file) for piece in stored.stored])
    return {"peak_rss_mb": _peak_mb(), "stored_mb": stored.size / 1e6, "wall_s": took, "cpu_s": time.process_time()}


def _peak_mb(pid: int | str = "self") -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6


if __name__ == "__main__":
    os.nice(5)
    print(json.dumps(_stream(sys.argv[1], int(sys.argv[2]), sys.argv[3])))
