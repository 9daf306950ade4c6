"""Compares a restored database with the commit record: everything is there, with as many rows as were taken."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from wbagent.backup.manifest import Manifest
from wbagent.backup.progress import Meter
from wbagent.backup.proof import TableProof
from wbagent.database.connection import Connection, quoted_name, rows
from wbagent.database.facts import Version
from wbagent.database.schema import DatabaseFacts, find_database


@dataclass(frozen=True, slots=True)
class Comparison:
    """`wrong`: one short sentence each; `tables` are those whose rows were counted."""

    wrong: tuple[str, ...]
    tables: tuple[TableProof, ...]

    @property
    def counted(self) -> int:
        """Tables whose rows were compared with the record."""
        return sum(1 for table in self.tables if table.recorded is not None)

    @property
    def row_count(self) -> int:
        """Rows of those tables."""
        return sum(table.rows for table in self.tables if table.recorded is not None)


def differences(
    connection: Connection, database: str, version: Version, manifest: Manifest, meter: Meter, *, whole: bool = False
) -> Comparison:
    """Compare the names of everything, and the rows of each table whose count the record has exactly.

    `whole`: every table is counted, and read once more from its first row to its last (CHECKSUM TABLE), which a torn
    page does not survive. Raises PyMySQL's errors.
    """
    found = find_database(connection, database, version)
    if found is None:
        return Comparison((f"the database {database} is missing",), ())
    present = {table.name for table in found.tables}
    wrong = list(missing_objects(found, manifest))
    proofs = []
    for table in manifest.tables:
        if table.name not in present or (table.rows is None and not whole):
            continue
        name = f"{quoted_name(database)}.{quoted_name(table.name)}"
        ((count,),) = rows(connection, f"SELECT COUNT(*) FROM {name}")  # noqa: S608 - both names are quoted
        checksum = _checksum(connection, name) if whole else None
        meter.add(0)
        proofs.append(TableProof(name=table.name, rows=int(count), recorded=table.rows, checksum=checksum))
        if table.rows is not None and count != table.rows:
            wrong.append(f"table {table.name} has {count} rows instead of {table.rows}")
        if whole and checksum is None:
            wrong.append(f"table {table.name} cannot be read to its end")
    return Comparison(tuple(wrong), tuple(proofs))


def unsound(connection: Connection, database: str, tables: Iterable[str], meter: Meter) -> tuple[str, ...]:
    """What CHECK TABLE finds wrong: every page's checksum and every index's order, which a physical copy may break.

    Raises PyMySQL's errors.
    """
    wrong: list[str] = []
    for table in tables:
        name = f"{quoted_name(database)}.{quoted_name(table)}"
        said = [(str(row[2]), str(row[3])) for row in rows(connection, f"CHECK TABLE {name}")]
        meter.add(0)
        # "note": an engine that cannot be checked, which is no fault of the table.
        wrong.extend(
            f"table {table}: {text}" for kind, text in said if kind == "error" or (kind == "status" and text != "OK")
        )
    return tuple(wrong)


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


def _checksum(connection: Connection, name: str) -> int | None:
    # NULL, with a warning, for a table that could not be read.
    ((_, value),) = rows(connection, f"CHECKSUM TABLE {name} EXTENDED")
    return None if value is None else int(value)
