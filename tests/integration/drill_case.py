"""What the tests of drills share: a database, and a host that drills, whose state directory is not root's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.integration.backup_case import Case, ignore, make_case
from tests.testbed.mysql import MysqlServer
from tests.testbed.mysql_clients import ClientPrograms
from tests.testbed.sample import fill
from tests.testbed.scratch import scratch
from wbagent.backup.manifest import Manifest
from wbagent.backup.proof import Proof, read_proof
from wbagent.config.dsn import S3URL, MysqlURL
from wbagent.drill.job import Order, run_drill

NOBODY = 65534


class Drilled(Case):
    """A host that drills."""

    def drill(self, name: str = "", report: object = ignore) -> Proof | None:
        assert callable(report)
        with self.state() as state:
            return run_drill(self.settings, state, self.state_directory, report, Order(name))

    def proof(self, manifest: Manifest) -> Proof | None:
        return read_proof(self.store, manifest)

    def left(self) -> list[str]:
        """What is in the room for drills."""
        return [path.name for path in self.state_directory.glob("scratch/*")]

    def fact(self, name: str) -> dict[str, object]:
        with self.state() as state:
            fact = state.get(name)
        assert fact
        return dict(fact.value)


@contextmanager
def sample_database(mysql: MysqlServer) -> Iterator[MysqlURL]:
    """A database to back up and drill, with a user who may read all of it."""
    url = mysql.create("drill_sample", "drill_user", "password")
    mysql.execute("GRANT SHOW_ROUTINE ON *.* TO %s@'%%'", url.user)
    with mysql.connect(url.database) as connection:
        fill(connection, 6)
    yield url
    mysql.execute(f"DROP DATABASE `{url.database}`")
    mysql.execute("DROP USER %s@'%%'", url.user)


@contextmanager
def made_host(destination: S3URL, database: MysqlURL, clients: ClientPrograms, mysqld: Path) -> Iterator[Drilled]:
    """A host whose state directory belongs to somebody who is not root, as the package makes it."""
    with scratch("drill") as directory:
        case = make_case(directory / "host1", database, clients, destination, drill={"mysqld": str(mysqld)})
        os.chown(case.state_directory, NOBODY, NOBODY)
        yield Drilled(case.directory, case.settings)
