"""The database's tables: storage engines, FLOAT columns, and how much there is."""

from __future__ import annotations

from typing import Final

from wbagent.backup.source import some
from wbagent.checks.check import Finding, fail, note, passed
from wbagent.checks.database.look import Look
from wbagent.database.connection import quoted_name
from wbagent.database.grants import mysql_command
from wbagent.database.schema import DatabaseFacts
from wbagent.quantities import format_size

_MOST_STATEMENTS: Final = 5


def presence(look: Look) -> Finding:
    """Whether the database is there."""
    name = look.url.database
    if look.database is None:
        return fail(
            f"there is no database {name!r} that {look.server.grants.account} may see",
            needed="the database of the connection string",
            remedy="wbagent database init; or on its host: "
            + mysql_command(
                f"CREATE DATABASE {quoted_name(name)} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;"
                f" GRANT ALL ON {quoted_name(name)}.* TO {look.server.grants.account} WITH GRANT OPTION;"
            ),
        )
    if not look.database.tables:
        return note(f"{name} is there, and empty: W&B's server makes its tables when it starts first")
    largest = max(look.database.tables, key=lambda table: table.size)
    return passed(
        f"{name}: {format_size(look.database.size)} in {len(look.database.tables)} tables, the largest is"
        f" {largest.name} ({format_size(largest.size)})"
    )


def engines(database: DatabaseFacts) -> Finding:
    """Whether every table is InnoDB's."""
    others = [table for table in database.tables if table.engine != "InnoDB"]
    if not others:
        return passed(f"all {len(database.tables)} are InnoDB")
    name = quoted_name(database.name)
    statements = [f"ALTER TABLE {name}.{quoted_name(table.name)} ENGINE = InnoDB;" for table in others]
    left = len(statements) - _MOST_STATEMENTS
    return fail(
        f"not InnoDB: {some([f'{table.name} ({table.engine})' for table in others])}: a crash damages them, a dump"
        " catches them half changed, and a clone leaves them empty",
        needed="InnoDB",
        remedy="\n".join([*statements[:_MOST_STATEMENTS], *([f"-- and the same for {left} more"] if left > 0 else [])]),
    )


def floats(database: DatabaseFacts, engine: str) -> Finding:
    """FLOAT columns lose digits in what mysqldump writes; `engine` is the one of [backup]."""
    if not database.float_columns:
        return passed("none")
    return note(
        f"{some(database.float_columns)}: mysqldump writes 6 digits of a FLOAT, so a restore of its dump is not exact",
        needed=f'backups by clone or mydumper, which keep every digit ([backup] engine = "{engine}" now)',
        remedy="wbagent backup show latest   # says which engine made it, and why no better one",
    )
