"""`./dev bench backup`: 2 GB to an S3 store and back again, by each engine and by the peers."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.backup_parties import AWS, BUCKET, Copy, Mydumper, Party, Pipe, Place, Wbagent
from bench.measurement import Measurement
from bench.plot import draw
from bench.sample_data import DATABASE, sample_data
from bench.usage import processor_seconds
from bench.writer import Writer
from tests.testbed.ceph import Ceph
from tests.testbed.mysql import MysqlServer
from tests.testbed.mysql_clients import client_programs
from tests.testbed.mysqld_program import mysqld_program
from tests.testbed.rootfs import root_file_system
from tests.testbed.scratch import scratch

ROUNDS = 3
PIPE: Final = "mysqldump-pipe"
ALONE: Final = "the writer alone"
_IDLE_S: Final = 15.0
_COLUMNS: Final = {
    "backup_s": "backup, s",
    "restore_s": "restore, s",
    "client_cpu_s": "client CPU, s",
    "server_cpu_s": "server CPU for it, s",
    "server_cpu_in_all_s": "with the writer's own, s",
    "rss_mb": "memory, MB",
    "stored_mb": "stored, MB",
    "writer_stall_ms": "slowest commit, ms",
    "writer_slow_ms": "slowest but 0.1 %, ms",
}
_DIGITS: Final = {"rss_mb": 0, "stored_mb": 0, "writer_stall_ms": 0}
_RIGHTS = (
    "BACKUP_ADMIN, RELOAD, PROCESS, REPLICATION CLIENT, SHOW_ROUTINE, SELECT, LOCK TABLES, SHOW VIEW, EVENT, TRIGGER"
)


def measure(rounds: int = ROUNDS) -> Measurement:
    """Each round takes every party in turn, first there with a writer at work, then back; before them the writer alone.

    What a commit costs the server by itself is taken off what it used during a backup. A round took six minutes on a
    machine with other work (load 5).
    """
    figures = Measurement("backup")
    root_file_system(AWS)
    with sample_place() as place:
        parties = _parties(place)
        for number in range(rounds):
            print(f"round {number + 1} of {rounds}", flush=True)
            _settle(place)
            a_commit = _idle(place, figures)
            for party in parties:
                _once(place, party, figures, a_commit)
                _settle(place)
    return figures


def page(figures: Measurement) -> str:
    """The table of docs/benchmarks.md: medians, ranges where there is more than one round."""
    lines = [
        "| | " + " | ".join([*_COLUMNS.values(), "times as fast as the pipe, there and back"]) + " |",
        "|---" * (len(_COLUMNS) + 2) + "|",
    ]
    for party in figures.parties:
        cells = [figures.shown(party, metric, _DIGITS.get(metric, 1)) for metric in _COLUMNS]
        times = [_times(figures, party, metric) for metric in ("backup_s", "restore_s")]
        lines.append(f"| {' | '.join([party, *cells, ', '.join(filter(None, times)) or '-'])} |")
    return "\n".join(lines)


def plot() -> Path:
    """Draw what was written."""
    return draw("backup", [("backup_s", "whole backup, seconds"), ("restore_s", "whole restore, seconds")])


def _parties(place: Place) -> tuple[Party, ...]:
    parties: tuple[Party, ...] = (Wbagent(place, "clone"), Wbagent(place, "mysqldump"), Pipe(place), Copy(place))
    if os.environ.get("WBAGENT_MYDUMPER"):
        return (*parties, Wbagent(place, "mydumper"), Mydumper(place))
    print("no $WBAGENT_MYDUMPER and $WBAGENT_MYLOADER (1.0.1 or later): without mydumper", flush=True)
    return parties


def _times(figures: Measurement, party: str, metric: str) -> str:
    pipe, its = figures.median(PIPE, metric), figures.median(party, metric)
    return f"{pipe / its:.1f}" if pipe and its else ""


def _idle(place: Place, figures: Measurement) -> float:
    """The writer alone, for about as long as a backup takes: processor seconds of the server that a commit costs."""
    before = processor_seconds(place.server.pid)
    with Writer(place.server) as writer:
        time.sleep(_IDLE_S)
    used = processor_seconds(place.server.pid) - before
    figures.add(ALONE, "server_cpu_in_all_s", used)
    _add_writer(figures, ALONE, writer)
    return used / writer.commits


def _settle(place: Place) -> None:
    """Nothing of one party is left to be done while the next is measured."""
    client = place.store.client()
    for key in place.store.keys(BUCKET):
        client.delete_object(Bucket=BUCKET, Key=key)
    place.store.administer("gc", "process", "--include-all")
    os.sync()


def _add_writer(figures: Measurement, party: str, writer: Writer) -> None:
    figures.add(party, "writer_stall_ms", writer.longest_ms)
    figures.add(party, "writer_slow_ms", writer.slow_ms)


def _once(place: Place, party: Party, figures: Measurement, a_commit: float) -> None:
    before, pid = processor_seconds(place.server.pid), place.server.pid
    if isinstance(party, Copy):
        usage = party.back_up()
    else:
        with Writer(place.server) as writer:
            usage = party.back_up()
        used = processor_seconds(pid) - before
        figures.add(party.name, "server_cpu_s", used - writer.commits * a_commit)
        figures.add(party.name, "server_cpu_in_all_s", used)
        _add_writer(figures, party.name, writer)
    figures.add(party.name, "backup_s", usage.wall_s)
    figures.add(party.name, "client_cpu_s", usage.cpu_s)
    figures.add(party.name, "rss_mb", usage.rss_mb)
    figures.add(party.name, "stored_mb", party.stored_bytes() / 1e6)
    back = party.restore()
    figures.add(party.name, "restore_s", back.wall_s)
    print(f"  {party.name:<18} {usage.wall_s:6.1f} s there, {back.wall_s:6.1f} s back", flush=True)


@contextmanager
def sample_place() -> Iterator[Place]:
    data = sample_data()
    clones = Path(tempfile.mkdtemp(prefix="wbagent-bench-", dir="/tmp"))
    try:
        settings = {"plugin_load_add": "mysql_clone.so"}
        with (
            MysqlServer(settings=settings, shared=clones, data=data) as server,
            Ceph() as store,
            scratch("bench") as work,
        ):
            server.create("unused", "backup", "password")
            server.execute(f"GRANT {_RIGHTS} ON *.* TO %s@'%%'", "backup")
            store.create_bucket(BUCKET)
            clients, mysqld = client_programs(work / "clients"), mysqld_program(work / "mysqld")
            yield Place(server, server.url("backup", DATABASE), store, clients, mysqld, work, clones)
    finally:
        shutil.rmtree(clones)
