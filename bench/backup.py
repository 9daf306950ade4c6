"""`./dev bench backup`: 2 GB to an S3 store and back again, by each engine and by the peers."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
_RIGHTS = (
    "BACKUP_ADMIN, RELOAD, PROCESS, REPLICATION CLIENT, SHOW_ROUTINE, SELECT, LOCK TABLES, SHOW VIEW, EVENT, TRIGGER"
)


def measure(rounds: int = ROUNDS) -> Measurement:
    """Each round takes every party in turn, first there with a writer at work, then back."""
    figures = Measurement("backup")
    root_file_system(AWS)
    with sample_place() as place:
        parties = _parties(place)
        for number in range(rounds):
            print(f"round {number + 1} of {rounds}", flush=True)
            for party in parties:
                _once(place, party, figures)
    return figures


def plot() -> Path:
    """Draw what was written."""
    return draw("backup", [("backup_s", "whole backup, seconds"), ("restore_s", "whole restore, seconds")])


def _parties(place: Place) -> tuple[Party, ...]:
    parties: tuple[Party, ...] = (Wbagent(place, "clone"), Wbagent(place, "mysqldump"), Pipe(place), Copy(place))
    if os.environ.get("WBAGENT_MYDUMPER"):
        return (*parties, Wbagent(place, "mydumper"), Mydumper(place))
    print("no $WBAGENT_MYDUMPER and $WBAGENT_MYLOADER (1.0.1 or later): without mydumper", flush=True)
    return parties


def _once(place: Place, party: Party, figures: Measurement) -> None:
    before, pid = processor_seconds(place.server.pid), place.server.pid
    if isinstance(party, Copy):
        usage = party.back_up()
    else:
        with Writer(place.server) as writer:
            usage = party.back_up()
        figures.add(party.name, "writer_stall_ms", writer.longest_ms)
        figures.add(party.name, "server_cpu_s", processor_seconds(pid) - before)
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
