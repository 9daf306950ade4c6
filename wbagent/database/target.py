"""Looks whether a database is fit to become the server's: W&B's demands on its version, empty, and all rights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from wbagent.config.dsn import MysqlURL
from wbagent.database.connection import quoted_name, rows, session
from wbagent.database.facts import Version, read_server, show_version
from wbagent.database.schema import find_database
from wbagent.errors import DatabaseError

# W&B's guide: 5.7, or 8.0.28 and later.
_OLDEST: Final = (8, 0, 28)
_PROBE: Final = "wbagent_probe"


@dataclass(frozen=True, slots=True)
class Target:
    """What was found; `empty` also when the database was not there and was made."""

    version: Version
    empty: bool


def check_target(url: MysqlURL, source: Version) -> Target:
    """Make the database unless it exists, and try what the server will do there; raises DatabaseError.

    `source` is the version of the MySQL whose data is to go there.
    """
    with session(url, database="") as connection:
        server = read_server(connection)
        _check_version(server.version, server.flavour, source, url)
        found = find_database(connection, url.database, server.version)
        name = quoted_name(url.database)
        if found is None:
            rows(connection, f"CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")
        elif found.charset != "utf8mb4":
            raise DatabaseError(
                f"the database {url.address} has the character set {found.charset} instead of utf8mb4",
                hint=f"ALTER DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
            )
        probe = f"{name}.{_PROBE}"
        rows(connection, f"CREATE TABLE {probe} (id INT PRIMARY KEY)")
        try:
            rows(connection, f"ALTER TABLE {probe} ADD COLUMN more INT, ADD INDEX (more)")
        finally:
            rows(connection, f"DROP TABLE {probe}")
    return Target(server.version, found is None or found.is_empty)


def empty_database(url: MysqlURL) -> None:
    """Drop the database with all that is in it and make it anew. Raises DatabaseError."""
    name = quoted_name(url.database)
    with session(url, database="", read_timeout=600.0) as connection:
        rows(connection, f"DROP DATABASE IF EXISTS {name}")
        rows(connection, f"CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")


def _check_version(version: Version, flavour: str, source: Version, url: MysqlURL) -> None:
    shown = f"the server at {url.address} is {flavour} {show_version(version)}"
    if flavour == "MariaDB" or (version < _OLDEST and version[:2] != (5, 7)):
        raise DatabaseError(f"{shown}, which W&B's server does not support", hint="use MySQL 8.4")
    if version[:2] < source[:2]:
        raise DatabaseError(
            f"{shown}, older than the embedded one ({show_version(source)}): it may not understand its data",
            hint=f"use MySQL {show_version(source)} or newer",
        )
