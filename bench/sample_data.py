"""The data that backups are measured with: at least 2 GB, made reproducibly, kept in the cache."""

from __future__ import annotations

import random
from contextlib import closing
from pathlib import Path

from tests.testbed.cache import cached
from tests.testbed.command import run
from tests.testbed.mysql import MysqlServer
from tests.testbed.sample import fill

DATABASE = "wandb_local"
MEGABYTES = 2000
_SMALL_TABLES = 60
_SMALL_ROWS = 500


def sample_data() -> Path:
    """A data directory at rest: wide JSON rows, blobs, 60 small tables, one table without a key."""

    def build(directory: Path) -> None:
        with MysqlServer(settings={"skip_log_bin": "ON", "innodb_flush_log_at_trx_commit": "0"}) as server:
            server.execute(f"CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")
            with closing(server.connect(DATABASE)) as connection:
                fill(connection, MEGABYTES)
            _others(server)
            server.stop()
            run(["cp", "-a", "--sparse=always", f"{server.directory}/data/.", str(directory)], timeout=600)
            server.start()

    return cached("bench-data", f"{MEGABYTES} {_SMALL_TABLES} {_SMALL_ROWS} 1", build)


def _others(server: MysqlServer) -> None:
    """What the tests' sample lacks."""
    rng = random.Random(2)  # noqa: S311 - data to measure with, the same each time
    for number in range(_SMALL_TABLES):
        name = f"lookup_{number:02}"
        server.execute(f"CREATE TABLE {name} (id INT PRIMARY KEY, label VARCHAR(80), KEY (label))", database=DATABASE)
        values = ",".join(f"({row},'{rng.getrandbits(200):x}')" for row in range(_SMALL_ROWS))
        server.execute(f"INSERT INTO {name} VALUES {values}", database=DATABASE)  # noqa: S608 - made here
