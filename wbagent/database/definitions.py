"""How each table, view, routine, trigger and event of a database is defined, as a hash that survives a restore."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import pymysql
from pymysql.constants import ER

from wbagent.database.connection import Connection, quoted_name, rows
from wbagent.database.facts import Version
from wbagent.database.schema import DatabaseFacts

# Where SHOW CREATE of each kind has its text and, for what runs as a program, its sql_mode.
_COLUMNS: Final = {
    "TABLE": (1, None),
    "VIEW": (1, None),
    "PROCEDURE": (2, 1),
    "FUNCTION": (2, 1),
    "TRIGGER": (2, 1),
    "EVENT": (3, 1),
}
# The account may not see it, or it is gone meanwhile: others say so better. A view on a table that is gone is invalid.
_UNREADABLE: Final = frozenset(
    {ER.TABLEACCESS_DENIED_ERROR, ER.SPECIFIC_ACCESS_DENIED_ERROR, ER.SP_DOES_NOT_EXIST, ER.NO_SUCH_TABLE,
     ER.VIEW_INVALID, ER.VIEW_NO_EXPLAIN, ER.TRG_DOES_NOT_EXIST, 1539, ER.DBACCESS_DENIED_ERROR}
)  # fmt: skip
# Quotes and what is left out follow the session, and so does the time in the default of a TIMESTAMP.
_SESSION: Final = "SET SESSION sql_mode = '', sql_quote_show_create = 1, time_zone = '+00:00'"
_COUNTER: Final = re.compile(r"(\n\) [^\n]*?) AUTO_INCREMENT=\d+")
_TABLE: Final = re.compile(r"\A(CREATE TABLE [^\n]*)\n(.*?)\n(\) .*)\Z", re.DOTALL)
# The character set that a collation implies is spelled out or not, by how the table came about.
_IMPLIED: Final = re.compile(r"CHARACTER SET (\w+) (?=COLLATE \1_)")
# Until then a release within one series could write the same definition in another way (8.0.19: widths of integers).
_STABLE_SINCE: Final = (8, 4)


@dataclass(frozen=True, slots=True)
class Definition:
    """`object` is such as "TABLE runs"; `sql_mode` is what a routine, trigger or event runs under, "" for the others.

    The hash is of SHOW CREATE's text without the next AUTO_INCREMENT and the database's own name.
    """

    object: str
    sha256: str
    sql_mode: str = ""


def objects_of(database: DatabaseFacts) -> tuple[str, ...]:
    """Everything that has a definition."""
    return (
        *(f"TABLE {table.name}" for table in database.tables),
        *(f"VIEW {name}" for name in database.views),
        *database.routines,
        *(f"TRIGGER {name}" for name in database.triggers),
        *(f"EVENT {name}" for name in database.events),
    )


def read_definitions(
    connection: Connection, database: str, objects: Iterable[str], *, named: Iterable[str] = ()
) -> tuple[Definition, ...]:
    """The definitions of those `objects` that are there and that the account may see.

    `named`: what else the database was called, by which its own objects may name it. Changes settings of the session;
    raises PyMySQL's errors.
    """
    rows(connection, _SESSION)
    names = tuple(dict.fromkeys((database, *named)))
    found = (_read(connection, database, each, names) for each in objects)
    return tuple(each for each in found if each is not None)


def same_text(one: Version, other: Version) -> bool:
    """Whether servers of these two versions write one definition in one way, so that a difference is a difference."""
    return one == other if one[:2] < _STABLE_SINCE else one[:2] == other[:2]


def _read(connection: Connection, database: str, what: str, names: tuple[str, ...]) -> Definition | None:
    kind, _, name = what.partition(" ")
    text, mode = _COLUMNS[kind]
    try:
        (row,) = rows(connection, f"SHOW CREATE {kind} {quoted_name(database)}.{quoted_name(name)}")
    except pymysql.MySQLError as error:
        if error.args and error.args[0] in _UNREADABLE:
            return None
        raise
    if row[text] is None:
        return None
    digest = hashlib.sha256(comparable(str(row[text]), names).encode()).hexdigest()
    return Definition(what, digest, "" if mode is None else str(row[mode]))


def comparable(text: str, names: Iterable[str]) -> str:
    """The text without what may differ in an equal database."""
    text = _IMPLIED.sub("", _COUNTER.sub(r"\1", text, count=1))
    for name in names:
        # A server that folds names writes it in lower case, however it was called when it was connected to.
        for written in (name, name.lower()):
            text = text.replace(f"{quoted_name(written)}.", "")
    return _TABLE.sub(_ordered, text)


def _ordered(table: re.Match[str]) -> str:
    """Columns as they stand, keys and constraints sorted: their order is that in which they were added."""
    lines = [line.removesuffix(",") for line in table[2].split("\n")]
    columns = [line for line in lines if line.startswith("  `")]
    return "\n".join((table[1], *columns, *sorted(set(lines) - set(columns)), table[3]))
