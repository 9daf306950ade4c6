"""Character sets and collations, of the server, the database, its tables, and columns that differ from their table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from wbagent.backup.source import some
from wbagent.checks.check import Finding, fail, note, passed, warn
from wbagent.checks.database.look import Look
from wbagent.checks.database.settings import setting
from wbagent.database.connection import quoted_name
from wbagent.database.facts import Version
from wbagent.database.provisioning import CHARSET, COLLATION

_MOST_STATEMENTS: Final = 5
_BEFORE: Final = "-- stop the server and make a backup first: the tables are rebuilt, and locked meanwhile"


def judge(look: Look) -> Iterable[Finding]:
    """From the server down to the columns."""
    yield _server(look.variables, look.server.version)
    if look.database is None:
        return
    name = look.database.name
    yield _database(name, look.database.charset, look.database.collation)
    if look.collations.tables:
        yield from tables(name, look.collations.tables)
        yield from _columns(look.collations.columns)


def _server(variables: Mapping[str, str], version: Version) -> Finding:
    charset, collation = variables.get("character_set_server", ""), variables.get("collation_server", "")
    if charset == CHARSET:
        return passed(f"{charset}, {collation}", about="server")
    return note(
        f"{charset}, {collation}: a database that is made without naming one gets this",
        needed=CHARSET,
        remedy=setting(version, ("character_set_server", CHARSET), ("collation_server", COLLATION)),
        about="server",
    )


def _database(name: str, charset: str, collation: str) -> Finding:
    remedy = f"ALTER DATABASE {quoted_name(name)} CHARACTER SET {CHARSET} COLLATE {COLLATION};"
    found, about = f"{charset}, {collation}", f"database {name}"
    if charset != CHARSET:
        return fail(
            f"{found}: tables that W&B's server makes will not hold every character of a run's name or notes",
            needed=f"{CHARSET}, {COLLATION}",
            remedy=remedy,
            about=about,
        )
    if collation != COLLATION:
        return warn(
            f"{found}: tables made from now on compare otherwise than those of the guide's collation",
            needed=COLLATION,
            remedy=f"{remedy}   -- for new tables; those that are there keep theirs",
            about=about,
        )
    return passed(found, about=about)


def tables(database: str, collations: Mapping[str, str]) -> Iterable[Finding]:
    """Each table is utf8mb4_general_ci; what is not is listed by how bad it is."""
    unfit = {name: found for name, found in collations.items() if charset_of(found) != CHARSET}
    other = {name: found for name, found in collations.items() if name not in unfit and found != COLLATION}
    if unfit:
        yield fail(
            f"{len(unfit)} of {len(collations)} are not {CHARSET}: {_named(unfit)}",
            needed=f"{CHARSET}, {COLLATION}: characters such as emoji are refused or lost",
            remedy=_conversions(database, list(unfit)),
            about="tables",
        )
    if other:
        yield warn(
            f"{len(other)} of {len(collations)} have another collation: {_named(other)}",
            needed=f"{COLLATION}: comparing columns of two collations fails (Illegal mix of collations, 1267)",
            remedy=_conversions(database, list(other)),
            about="tables",
        )
    if not unfit and not other:
        yield passed(f"{len(collations)}, all {COLLATION}", about="tables")


def _columns(collations: Mapping[str, str]) -> Iterable[Finding]:
    """Columns that differ from their table; ascii and binary ones are somebody's purpose, and so is another utf8mb4."""
    unfit = {n: c for n, c in collations.items() if charset_of(c) not in {CHARSET, "ascii", "binary"}}
    other = {n: c for n, c in collations.items() if n not in unfit}
    if unfit:
        yield warn(
            f"{len(unfit)} are not {CHARSET}: {_named(unfit)}",
            needed=f"{CHARSET}: characters such as emoji are refused or lost there",
            remedy="ALTER TABLE … CONVERT TO CHARACTER SET for their tables, as above, converts them too",
            about="columns",
        )
    if other:
        yield note(f"{len(other)} differ from their table, which can be on purpose: {_named(other)}", about="columns")


def charset_of(collation: str) -> str:
    """The character set that a collation is of: "utf8mb4" of "utf8mb4_0900_ai_ci"."""
    return collation.partition("_")[0]


def _named(collations: Mapping[str, str]) -> str:
    return some([f"{name} ({collation})" for name, collation in collations.items()])


def _conversions(database: str, names: Sequence[str]) -> str:
    statements = [
        f"ALTER TABLE {quoted_name(database)}.{quoted_name(name)} CONVERT TO CHARACTER SET {CHARSET}"
        f" COLLATE {COLLATION};"
        for name in names
    ]
    left = len(statements) - _MOST_STATEMENTS
    more = [f"-- and the same for {left} more"] if left > 0 else []
    return "\n".join([_BEFORE, *statements[:_MOST_STATEMENTS], *more])
