"""A real MySQL 9.7 server on an address of this machine, set up as W&B's guide says, that ends with the test."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self
from zlib import crc32

import pymysql

from tests.testbed.address import free_port
from tests.testbed.cache import cached
from tests.testbed.command import run
from tests.testbed.errors import BedError
from tests.testbed.program import WORK, Program, inside
from tests.testbed.rootfs import MYSQL, root_file_system
from tests.testbed.scratch import scratch
from wbagent.config.dsn import MysqlURL

# What W&B's guide asks of the server, as it stands there.
GUIDE_SETTINGS: Mapping[str, str] = {
    "binlog_format": "ROW",
    "binlog_row_image": "MINIMAL",
    "innodb_flush_log_at_trx_commit": "1",
    "innodb_online_alter_log_max_size": "268435456",
    "sort_buffer_size": "33554432",
    "sync_binlog": "1",
}
_BED_SETTINGS: Mapping[str, str] = {
    "datadir": f"{WORK}/data",
    "innodb_buffer_pool_size": "256M",
    "log_bin": "binlog",
    "gtid_mode": "ON",
    "enforce_gtid_consistency": "ON",
    "mysqlx": "OFF",
    "pid_file": f"{WORK}/mysqld.pid",
    "secure_file_priv": f"{WORK}/scratch",
    "socket": f"{WORK}/mysqld.sock",
    "tmpdir": f"{WORK}/scratch",
}
_READY_WITHIN = 60.0
_STOPPED_WITHIN = 30.0


class MysqlServer:
    """A mysqld with a data directory of its own, kept over `kill` and `start`, removed at the end.

    `settings` are added to (or take the place of) those of the guide. Without `port` a free one is
    taken. It can write to `shared`, a directory below /tmp, under the same name as this machine.
    With `data` it begins on a copy of that data directory. With `option_file`, a text, it reads that as its
    my.cnf instead of the guide's settings, and what was persisted by SET PERSIST; else neither.
    Start it in a thread that outlives the server: the kernel ends it together with that thread.
    """

    def __init__(
        self,
        *,
        address: str = "127.0.0.1",
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
        network: Path | None = None,
        shared: Path | None = None,
        data: Path | None = None,
        option_file: str | None = None,
    ) -> None:
        self.address = address
        self.port = port or free_port(address)
        guide = GUIDE_SETTINGS if option_file is None else {}
        self._settings = {**guide, **_BED_SETTINGS, **(settings or {})}
        self._network = network
        self.shared = shared
        self._data = data
        self._option_file = option_file
        self._passwords: dict[str, str] = {}
        self._program: Program | None = None
        self._cleanup = ExitStack()
        self.directory = Path()

    def __enter__(self) -> Self:
        template = _data_template()
        with ExitStack() as stack:
            self.directory = stack.enter_context(scratch("mysql"))
            run(["cp", "-a", "--sparse=always", f"{template}/.", str(self.directory)])
            owner = _mysql_user(root_file_system(MYSQL))
            if self._data:
                run(["rm", "-r", str(self.directory / "data")])
                run(["cp", "-a", "--sparse=always", str(self._data), str(self.directory / "data")])
                run(["chown", "-R", f"{owner[0]}:{owner[1]}", str(self.directory / "data")])
            if self.shared:
                shutil.chown(self.shared, *owner)
            if self._option_file is not None:
                (self.directory / "my.cnf").write_text(self._option_file)
            stack.callback(self._end)
            self.start()
            self._cleanup = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._cleanup.close()

    def _end(self) -> None:
        if self._program:
            self.kill()

    @property
    def socket(self) -> Path:
        """The server's local socket as this machine sees it; `root` needs no password there."""
        return self.directory / "mysqld.sock"

    @property
    def pid(self) -> int:
        """The PID of mysqld."""
        return self._running().pid

    @property
    def log(self) -> str:
        """The newest lines of the server's error log."""
        return self._running().tail()

    def start(self) -> None:
        """Start mysqld on its data directory and return when it takes connections; raises BedError."""
        if self._program:
            raise BedError("this MySQL server runs already")
        bound = {
            "bind_address": self.address,
            "port": str(self.port),
            "server_id": str(crc32(f"{self.address}:{self.port}".encode())),
        }
        options = [f"--{name.replace('_', '-')}={value}" for name, value in {**self._settings, **bound}.items()]
        defaults = "--no-defaults" if self._option_file is None else f"--defaults-file={WORK}/my.cnf"
        argv = ["/usr/sbin/mysqld", defaults, *options]
        command = inside(
            root_file_system(MYSQL), self.directory, argv, user="mysql", network=self._network, shared=self.shared
        )
        self._program = Program("mysqld", command, self.directory / "error.log")
        self._program.wait_for_line("ready for connections.*socket:", _READY_WITHIN)

    def stop(self) -> None:
        """Shut it down in order."""
        self._running().stop(_STOPPED_WITHIN)
        self._program = None

    def kill(self) -> None:
        """End it as a crash does."""
        self._running().kill()
        self._program = None

    def create(self, database: str, user: str, password: str) -> MysqlURL:
        """Make the database and its user by the SQL of W&B's guide; return the way in over TCP."""
        self.execute("CREATE USER %s@'%%' IDENTIFIED BY %s", user, password)
        self.execute(f"CREATE DATABASE `{database}` CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")
        self.execute(f"GRANT ALL ON `{database}`.* TO %s@'%%' WITH GRANT OPTION", user)
        self._passwords[user] = password
        return self.url(user, database)

    def url(self, user: str, database: str) -> MysqlURL:
        """Return the connection string of a user that `create` made, for a database that need not exist."""
        return MysqlURL(user, self._passwords[user], self.address, self.port, database)

    def connect(self, database: str | None = None) -> pymysql.Connection[Any]:
        """Open a session of root over the local socket, in autocommit; the caller closes it."""
        return pymysql.connect(
            unix_socket=str(self.socket), user="root", database=database, charset="utf8mb4", autocommit=True
        )

    def execute(self, statement: str, *values: object, database: str | None = None) -> Sequence[tuple[Any, ...]]:
        """Run one statement as root and return its rows (none for a statement without a result)."""
        with self.connect(database) as connection, connection.cursor() as cursor:
            cursor.execute(statement, values or None)
            return list(cursor.fetchall())

    def _running(self) -> Program:
        if not self._program:
            raise BedError("this MySQL server does not run")
        return self._program


def initialize(directory: Path, *options: str) -> None:
    """Make the data directory `data` below an empty one, with `options` of mysqld that it needs from then on."""
    tree = root_file_system(MYSQL)
    owner = _mysql_user(tree)
    for name in ("", "data", "scratch"):
        (directory / name).mkdir(exist_ok=True)
        shutil.chown(directory / name, *owner)
    argv = ["/usr/sbin/mysqld", "--no-defaults", "--initialize-insecure", f"--datadir={WORK}/data", *options]
    run(inside(tree, directory, argv, user="mysql"))
    # Each server makes an identity of its own at its first start.
    (directory / "data/auto.cnf").unlink(missing_ok=True)


def _data_template() -> Path:
    return cached("mysql-data", f"{root_file_system(MYSQL).name} initialized, 2", initialize)


def _mysql_user(tree: Path) -> tuple[int, int]:
    accounts = (line.split(":") for line in (tree / "etc/passwd").read_text().splitlines())
    return next((int(fields[2]), int(fields[3])) for fields in accounts if fields[0] == "mysql")
