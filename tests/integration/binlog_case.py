"""What the tests of binary logs share: a host that ships, round by round in this process, and what is stored."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.integration.backup_case import Case, make_case
from tests.testbed.errors import BedError
from tests.testbed.mysql import MysqlServer
from tests.testbed.mysql_clients import ClientPrograms
from wbagent.backup.binlogs import open_service
from wbagent.binlog.catalog import StoredFile, read_catalog
from wbagent.binlog.gtid import GtidSet
from wbagent.binlog.layout import RECORD
from wbagent.binlog.packing import unpack
from wbagent.binlog.record import parse_record
from wbagent.binlog.service import Service
from wbagent.config.dsn import S3URL, MysqlURL

REPLICATION = "REPLICATION SLAVE, REPLICATION CLIENT"


def shipping_case(
    directory: Path,
    url: MysqlURL,
    clients: ClientPrograms,
    destination: S3URL | None = None,
    *,
    encrypt_to: Sequence[str] = (),
    backup: Mapping[str, object] | None = None,
    **binlog: object,
) -> Case:
    """A configuration that asks for binary logs; further keys of [backup] and, by name, of [backup.binlog]."""
    keys = {"enabled": True, "mysqlbinlog": str(clients.mysqlbinlog), "every": "0.1s", **binlog}
    return make_case(directory, url, clients, destination, encrypt_to=list(encrypt_to), binlog=keys, **(backup or {}))


def executed(server: MysqlServer) -> GtidSet:
    """Everything that the server executed."""
    return GtidSet.parse(str(server.execute("SELECT @@GLOBAL.gtid_executed")[0][0]))


@dataclass
class Shipping:
    """A running service whose rounds the test makes; `backups` counts how often one was asked for."""

    case: Case
    service: Service
    backups: list[float] = field(default_factory=list)

    def until(self, condition: Callable[[], bool], what: str, timeout: float = 60) -> None:
        """Make rounds until the condition holds; BedError with the unit's own words otherwise."""
        deadline = time.monotonic() + timeout
        while True:
            self.service.round()
            if condition():
                return
            if time.monotonic() > deadline:
                raise BedError(f"{what}: not within {timeout} s; {self.service.report}")
            # Between two looks, as the unit's own loop does.
            time.sleep(0.05)

    def until_stored(self, gtids: GtidSet) -> None:
        """Until all of these transactions are in the store."""
        self.until(lambda: gtids <= self.shipped(), f"{gtids} stored")
        missing = gtids - self.stored() - self.catalog()[0].mark.previous
        assert not missing, f"it said that {missing} were stored"

    def shipped(self) -> GtidSet:
        """All transactions that the service says are in the store."""
        shipper = self.service._shipper
        return shipper.shipped if shipper else GtidSet()

    def stored(self) -> GtidSet:
        """All transactions that are whole in the store."""
        whole = GtidSet()
        for file in self.catalog():
            whole |= file.gtids
        return whole

    def catalog(self) -> tuple[StoredFile, ...]:
        return read_catalog(self.case.store, self.case.settings.backup.owner)


@contextmanager
def shipping(case: Case) -> Iterator[Shipping]:
    with case.state() as state:
        backups: list[float] = []

        def start_backup() -> bool:
            backups.append(time.monotonic())
            return True

        service = open_service(case.settings, state, case.state_directory, start_backup)
        try:
            yield Shipping(case, service, backups)
        finally:
            service._end()


def content(case: Case, file: StoredFile) -> bytes:
    """A file put together again from its pieces."""
    store, owner = case.store, case.settings.backup.owner
    whole = b""
    for piece in file.pieces:
        stem = piece.stem(file.id, owner)
        record = parse_record(b"".join(store.get(stem + RECORD)), stem)
        assert (record.start, record.end) == (piece.start, piece.end)
        stored = b"".join(store.get(stem + record.suffix))
        whole += unpack(stored, record.suffix, piece.end - piece.start, None)
    return whole


def on_server(server: MysqlServer, file: StoredFile) -> bytes:
    """The same file as the server has it, without the flag that it is in use."""
    data = bytearray((server.directory / "data" / file.id.name).read_bytes())
    data[21] &= 0xFE
    return bytes(data)


def replicate(server: MysqlServer, replica: MysqlServer, *, anew: bool = True) -> None:
    """Make `replica` one of `server`; what is on them now must be alike, and the history of both begins here.

    Not `anew`: it goes on in the history that it has.
    """
    server.execute("CREATE USER IF NOT EXISTS replica@'%' IDENTIFIED BY 'password'")
    server.execute("GRANT REPLICATION SLAVE ON *.* TO replica@'%'")
    for each in (server, replica) if anew else ():
        each.execute("RESET BINARY LOGS AND GTIDS")
    replica.execute(
        "CHANGE REPLICATION SOURCE TO SOURCE_HOST = %s, SOURCE_PORT = %s, SOURCE_USER = 'replica',"
        " SOURCE_PASSWORD = 'password', SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1",
        server.address,
        server.port,
    )
    replica.execute("START REPLICA")


def wait_for(replica: MysqlServer, server: MysqlServer) -> None:
    wanted = str(server.execute("SELECT @@GLOBAL.gtid_executed")[0][0])
    assert replica.execute("SELECT WAIT_FOR_EXECUTED_GTID_SET(%s, 60)", wanted) == [(0,)], replica.execute(
        "SELECT * FROM performance_schema.replication_applier_status_by_worker"
    )


def write(server: MysqlServer, count: int, size: int = 100) -> None:
    with server.connect("shipped") as connection, connection.cursor() as cursor:
        for _ in range(count):
            cursor.execute("INSERT INTO t (v) VALUES (REPEAT(UUID(), %s))", (size // 36 + 1,))


def assert_whole(host: Shipping, server: MysqlServer) -> None:
    """Every stored file is the server's, without a hole and to its last event."""
    server.execute("FLUSH BINARY LOGS")
    host.until_stored(executed(server))
    files = host.catalog()
    assert files
    for file in files[:-1]:
        assert content(host.case, file) == on_server(server, file)
    newest = content(host.case, files[-1])
    assert newest == on_server(server, files[-1])[: len(newest)]


@contextmanager
def unit(case: Case) -> Iterator[subprocess.Popen[bytes]]:
    """The program as systemd runs it; killed at the end with its mysqlbinlog, as systemd does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifications:
        path = case.state_directory / "notify"
        path.unlink(missing_ok=True)
        notifications.bind(str(path))
        names = {"NOTIFY_SOCKET": str(path), "INVOCATION_ID": "1", "WBAGENT_STATE_DIRECTORY": str(case.state_directory)}
        command = [sys.executable, "-m", "wbagent.cli.main", "--config", str(case.configuration), "binlog", "run"]
        # As systemd does: a program whose words nobody takes waits for that.
        threading.Thread(target=_drain, args=(notifications,), daemon=True).start()
        process = subprocess.Popen(command, env={**os.environ, **names}, stderr=subprocess.DEVNULL)
        try:
            yield process
        finally:
            children = psutil.Process(process.pid).children(recursive=True)
            process.kill()
            for child in children:
                child.kill()
            process.wait()
            psutil.wait_procs(children, timeout=30)
            notifications.shutdown(socket.SHUT_RD)


def _drain(notifications: socket.socket) -> None:
    while notifications.recv(4096):
        pass
