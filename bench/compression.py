"""`./dev bench compression`: zstd's levels and threads on a dump of the sample: megabytes a second, and size."""

from __future__ import annotations

import subprocess
import time
from contextlib import closing
from typing import Final

from bench.measurement import Measurement
from tests.testbed.mysql import MysqlServer
from tests.testbed.mysql_clients import client_programs
from tests.testbed.sample import fill
from tests.testbed.scratch import scratch
from wbagent.backup.pipeline import Packing, packed
from wbagent.backup.progress import Meter
from wbagent.chunk import CHUNK

MEGABYTES: Final = 100
ROUNDS: Final = 3


class _Sink:
    """A writer that only counts."""

    size = 0

    def write(self, data: bytes | memoryview) -> None:
        """Forget it."""
        self.size += len(data)

    def commit(self) -> None:
        """Nothing to do."""


def measure(rounds: int = ROUNDS) -> Measurement:
    """The product's own pipeline with its checksums, and nothing behind it; every setting once a round."""
    figures, dump = Measurement("compression"), _dump()
    for _ in range(rounds):
        for level in (1, 3, 6, 9):
            for threads in (1, 2):
                party = f"level {level}, {threads} thread" + ("s" if threads > 1 else "")
                wall, cpu, stored = _once(dump, Packing(level, threads))
                figures.add(party, "mb_per_s", len(dump) / 1e6 / wall)
                figures.add(party, "cpu_s", cpu)
                figures.add(party, "stored_percent", 100 * stored / len(dump))
    return figures


def _once(dump: bytes, packing: Packing) -> tuple[float, float, int]:
    """Seconds of wall and processor time, and bytes that would be stored."""
    began, before = time.monotonic(), time.process_time()
    sink = _Sink()
    with packed(packing, sink, Meter("dumping", lambda progress: None)) as pipeline:
        for start in range(0, len(dump), CHUNK):
            pipeline.write(dump[start : start + CHUNK])
        pipeline.finish()
    return time.monotonic() - began, time.process_time() - before, sink.size


def _dump() -> bytes:
    with MysqlServer() as server, scratch("compression") as work:
        url = server.create("sample", "sample", "password")
        with closing(server.connect(url.database)) as connection:
            fill(connection, MEGABYTES)
        program = str(client_programs(work).mysqldump)
        command = [program, f"--socket={server.socket}", "-uroot", "--hex-blob", "sample"]
        return subprocess.run(command, capture_output=True, check=True).stdout
