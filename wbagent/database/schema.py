"""What one database consists of: its tables with size and definition, and everything else that a dump must hold."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from wbagent.database.connection import Connection, rows
from wbagent.database.facts import Version
from wbagent.errors import DatabaseError

_DEFINERS: Final = (
    "SELECT definer FROM information_schema.views WHERE table_schema = %s"
    " UNION SELECT definer FROM information_schema.routines WHERE routine_schema = %s"
    " UNION SELECT definer FROM information_schema.triggers WHERE trigger_schema = %s"
    " UNION SELECT definer FROM information_schema.events WHERE event_schema = %s"
)


# Without those that MySQL drops by itself at their end: what is loaded after that has them no more, and lacks nothing.
_EVENTS: Final = (
    "SELECT event_name FROM information_schema.events WHERE event_schema = %s"
    " AND NOT (on_completion = 'NOT PRESERVE' AND (event_type = 'ONE TIME' OR ends IS NOT NULL))"
)


@dataclass(frozen=True, slots=True)
class TableFacts:
    """One base table; `rows_estimate` and `size` (bytes, with indexes) are the engine's own estimates.

    `definition` changes when the table is altered, rebuilt or truncated. `auto_increment` is the next one, if any.
    """

    name: str
    engine: str
    rows_estimate: int
    size: int
    definition: str
    auto_increment: int | None = None


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """One database; the names of each kind are sorted, routines as "PROCEDURE name" or "FUNCTION name".

    `events` are those that stay. `definers` are the accounts (user@host) that views, routines, triggers and events run
    as.
    """

    name: str
    charset: str
    collation: str
    tables: tuple[TableFacts, ...]
    views: tuple[str, ...]
    routines: tuple[str, ...]
    triggers: tuple[str, ...]
    events: tuple[str, ...]
    definers: tuple[str, ...]
    float_columns: tuple[str, ...]
    hidden_routines: tuple[str, ...]

    @property
    def size(self) -> int:
        """Bytes of all tables with their indexes, as the engine estimates them."""
        return sum(table.size for table in self.tables)

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all is in it."""
        return not (self.tables or self.views or self.routines or self.triggers or self.events)

    def changed_since(self, earlier: DatabaseFacts) -> tuple[str, ...]:
        """The tables of `earlier` that were altered, rebuilt, truncated or dropped since then."""
        now = {table.name: table.definition for table in self.tables}
        return tuple(table.name for table in earlier.tables if now.get(table.name) != table.definition)


def find_database(connection: Connection, name: str, version: Version) -> DatabaseFacts | None:
    """The facts of a database, or None when the account sees none of that name; raises PyMySQL's errors."""
    defaults = rows(
        connection,
        "SELECT default_character_set_name, default_collation_name FROM information_schema.schemata"
        " WHERE schema_name = %s",
        name,
    )
    if not defaults:
        return None
    if version >= (8, 0, 0):
        # Otherwise the estimates and times come from a cache of up to a day.
        rows(connection, "SET SESSION information_schema_stats_expiry = 0")
    columns = rows(
        connection,
        "SELECT table_name, column_name, column_type, data_type FROM information_schema.columns"
        " WHERE table_schema = %s ORDER BY table_name, ordinal_position",
        name,
    )
    tables = _tables(connection, name, _definitions(columns))
    base = {table.name for table in tables}
    routines = rows(
        connection,
        "SELECT CONCAT(routine_type, ' ', routine_name), routine_definition FROM information_schema.routines"
        " WHERE routine_schema = %s",
        name,
    )
    return DatabaseFacts(
        name=name,
        charset=str(defaults[0][0]),
        collation=str(defaults[0][1]),
        tables=tables,
        views=_names(connection, "SELECT table_name FROM information_schema.views WHERE table_schema = %s", name),
        routines=tuple(sorted(str(row[0]) for row in routines)),
        triggers=_names(
            connection, "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = %s", name
        ),
        events=_names(connection, _EVENTS, name),
        definers=_names(connection, _DEFINERS, name, name, name, name),
        float_columns=tuple(f"{row[0]}.{row[1]}" for row in columns if row[3] == "float" and row[0] in base),
        hidden_routines=tuple(sorted(str(row[0]) for row in routines if row[1] is None)),
    )


def read_database(connection: Connection, name: str, version: Version) -> DatabaseFacts:
    """The facts of a database that must be there; raises DatabaseError when it is not, else PyMySQL's errors."""
    found = find_database(connection, name, version)
    if found is None:
        raise DatabaseError(
            f"the MySQL server has no database {name!r} that this account may see",
            hint="check the name in the connection string, or GRANT ALL on it to the account",
        )
    return found


def _tables(connection: Connection, name: str, columns: Mapping[str, str]) -> tuple[TableFacts, ...]:
    found = rows(
        connection,
        "SELECT table_name, engine, table_rows, data_length + index_length, create_time, auto_increment"
        " FROM information_schema.tables WHERE table_schema = %s AND table_type = 'BASE TABLE' ORDER BY table_name",
        name,
    )
    return tuple(
        TableFacts(
            name=str(table),
            engine=str(engine),
            rows_estimate=int(count or 0),
            size=int(size or 0),
            definition=f"{created} {columns.get(table, '')}",
            auto_increment=None if counter is None else int(counter),
        )
        for table, engine, count, size, created, counter in found
    )


def _definitions(columns: tuple[tuple[object, ...], ...]) -> Mapping[str, str]:
    lists: defaultdict[str, list[str]] = defaultdict(list)
    for table, column, kind, _ in columns:
        lists[str(table)].append(f"{column} {kind}")
    return {table: hashlib.sha256("\n".join(names).encode()).hexdigest() for table, names in lists.items()}


def _names(connection: Connection, statement: str, *names: str) -> tuple[str, ...]:
    return tuple(sorted(str(row[0]) for row in rows(connection, statement, *names)))
