"""Compares a restored database with the commit record: everything is there, and as many rows as were dumped."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from wbagent.backup.manifest import Manifest
from wbagent.backup.progress import Meter
from wbagent.database.connection import Connection, quoted_name, rows
from wbagent.database.facts import Version
from wbagent.database.schema import DatabaseFacts, read_database


@dataclass(frozen=True, slots=True)
class Comparison:
    """`wrong`: one short sentence each; `counted` tables with `row_count` rows in all were equal in number."""

    wrong: tuple[str, ...]
    counted: int
    row_count: int


def differences(
    connection: Connection, database: str, version: Version, manifest: Manifest, meter: Meter
) -> Comparison:
    """Compare the names of everything, and the rows of each table whose count the record has exactly.

    Raises DatabaseError and PyMySQL's errors. It reads every counted table once.
    """
    found = read_database(connection, database, version)
    present = {table.name for table in found.tables}
    wrong = list(missing_objects(found, manifest))
    counted = total = 0
    for table in manifest.tables:
        if table.rows is None or table.name not in present:
            continue
        name = f"{quoted_name(database)}.{quoted_name(table.name)}"
        ((count,),) = rows(connection, f"SELECT COUNT(*) FROM {name}")  # noqa: S608 - both names are quoted
        meter.add(0)
        counted, total = counted + 1, total + int(count)
        if count != table.rows:
            wrong.append(f"table {table.name} has {count} rows instead of {table.rows}")
    return Comparison(tuple(wrong), counted, total)


def missing_objects(found: DatabaseFacts, manifest: Manifest) -> tuple[str, ...]:
    """One sentence for each kind of thing of which the record names some that are not there."""
    pairs: tuple[tuple[str, Collection[str], Collection[str]], ...] = (
        ("tables", [table.name for table in manifest.tables], [table.name for table in found.tables]),
        ("views", manifest.views, found.views),
        ("routines", manifest.routines, found.routines),
        ("triggers", manifest.triggers, found.triggers),
        ("events", manifest.events, found.events),
    )
    return tuple(
        f"{kind} missing: {', '.join(sorted(set(recorded) - set(there)))}"
        for kind, recorded, there in pairs
        if set(recorded) - set(there)
    )
