"""What the tests of `wbagent database` share: a server that nobody tuned, and a host where commands are typed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from tests.integration.conftest import require
from tests.testbed.mysql import MysqlServer
from tests.testbed.program import WORK
from tests.testbed.rootfs import MYSQL
from wbagent.config.dsn import MysqlURL

# What a server has that nobody tuned, and worse: on its command line, where an option file cannot change it,
ON_ITS_COMMAND_LINE = {"sync_binlog": "0", "general_log": "ON", "general_log_file": f"{WORK}/data/general.log"}
# and in its option file.
IN_ITS_FILE = f"""[mysqld]
binlog_row_image = FULL
innodb_flush_log_at_trx_commit = 2
innodb_online_alter_log_max_size = 134217728
sort_buffer_size = 32768
!includedir {WORK}/scratch
"""
_numbers = count(1)


@contextmanager
def untuned_server() -> Iterator[MysqlServer]:
    require(MYSQL)
    with MysqlServer(settings=ON_ITS_COMMAND_LINE, option_file=IN_ITS_FILE) as running:
        yield running


@dataclass(frozen=True)
class Host:
    """Where `wbagent database` is typed: a configuration, and names that no other test has."""

    server: MysqlServer
    directory: Path
    number: int

    @property
    def name(self) -> str:
        """Of the account and of the database."""
        return f"made_{self.number}"

    @property
    def secret(self) -> Path:
        return self.directory / "secret"

    @property
    def admin(self) -> MysqlURL:
        return MysqlURL("root", "", "localhost", self.server.port, "mysql", (("socket", str(self.server.socket)),))

    @property
    def url(self) -> MysqlURL:
        """What was written down, by the way over TCP."""
        kept = MysqlURL.parse(self.secret.read_text().strip())
        return replace(kept, host=self.server.address, port=self.server.port, options=())

    def command(self, verb: str, *options: str, admin: MysqlURL | None = None) -> list[str]:
        command = [sys.executable, "-m", "wbagent.cli.main", "--config", str(self.directory / "wbagent.toml")]
        command += ["database", verb, "--admin", str(admin or self.admin)]
        if verb != "tune":
            names = {"--user": self.name, "--database": self.name, "--into": str(self.secret)}
            command += [word for key, value in names.items() if key not in options for word in (key, value)]
        return [*command, *options]

    def run(
        self, verb: str, *options: str, admin: MysqlURL | None = None, status: int = 0, text: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """As a person types it; the status is what it has to end with."""
        command = self.command(verb, *options, admin=admin)
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == status, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    def state(self) -> tuple[object, ...]:
        """All that MySQL knows of the account and the database."""
        execute = self.server.execute
        return (
            execute("SELECT * FROM mysql.user WHERE user = %s", self.name),
            execute("SELECT * FROM mysql.db WHERE user = %s", self.name),
            execute("SELECT * FROM information_schema.schemata WHERE schema_name = %s", self.name),
        )


@contextmanager
def made_host(server: MysqlServer, directory: Path) -> Iterator[Host]:
    """What is made by it is gone afterwards, with every account but root's."""
    (directory / "wbagent.toml").touch(mode=0o640)
    made = Host(server, directory, next(_numbers))
    yield made
    server.execute(f"DROP DATABASE IF EXISTS `{made.name}`")
    for user, where in server.execute(
        "SELECT user, host FROM mysql.user WHERE user NOT LIKE 'mysql.%%' AND user <> %s", "root"
    ):
        server.execute("DROP USER %s@%s", user, where)
