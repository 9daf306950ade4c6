"""Compares a restored database with the commit record, and with what a drill has read of the same backup."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from wbagent.backup.manifest import Manifest
from wbagent.backup.progress import Meter
from wbagent.backup.proof import Proof, TableProof
from wbagent.backup.source import some
from wbagent.database.connection import Connection, quoted_name, rows
from wbagent.database.definitions import Definition, objects_of, read_definitions, same_text
from wbagent.database.facts import Version, parse_version, show_version
from wbagent.database.schema import DatabaseFacts, find_database

_LOSES_DIGITS: Final = "6 significant digits of FLOAT columns were kept, the rest is lost: "


@dataclass(frozen=True, slots=True)
class Measure:
    """What a restored database is held against: the commit record and, or None, a drill's proof of the same backup.

    `dumped`: it came through a dump, which keeps 6 digits of a FLOAT; a clone may have, on its way into another server.
    """

    manifest: Manifest
    proof: Proof | None = None
    dumped: bool = True


@dataclass(frozen=True, slots=True)
class Comparison:
    """`wrong`: one short sentence each; `tables` are those that were counted or read.

    `notes`: what could not be compared, or is known not to be exact. `proven`: so many tables were held against the
    checksums of the proof.
    """

    wrong: tuple[str, ...]
    tables: tuple[TableProof, ...]
    notes: tuple[str, ...] = ()
    proven: int = 0

    @property
    def counted(self) -> int:
        """Tables whose rows were compared with the record."""
        return sum(1 for table in self.tables if table.recorded is not None)

    @property
    def row_count(self) -> int:
        """Rows of those tables."""
        return sum(table.rows for table in self.tables if table.recorded is not None)


def differences(
    connection: Connection, database: str, version: Version, measure: Measure, meter: Meter, *, whole: bool = False
) -> Comparison:
    """Compare the names and definitions of everything, the rows of each table whose count the record has exactly, and
    every row of those tables of which the proof has a checksum that means something here.

    `whole`: every table is counted, and read once more from its first row to its last (CHECKSUM TABLE), which a torn
    page does not survive. Changes settings of the session. Raises PyMySQL's errors.
    """
    manifest = measure.manifest
    found = find_database(connection, database, version)
    if found is None:
        return Comparison((f"the database {database} is missing",), ())
    wrong = list(missing_objects(found, manifest))
    definitions = read_definitions(
        connection, database, [each.object for each in manifest.definitions], named=[manifest.database.name]
    )
    # The definitions' session has a time zone that is the same everywhere: generated columns may depend on it.
    otherwise, notes = redefined(definitions, manifest, version)
    notes += unread(definitions, found, manifest)
    inexact = {column.partition(".")[0] for column in found.float_columns} if measure.dumped else set()
    known = proven_checksums(measure, version, inexact)
    tables = []
    for table in manifest.tables:
        read = whole or table.name in known
        if table.name not in {each.name for each in found.tables} or (table.rows is None and not read):
            continue
        seen = _read(connection, database, table.name, table.rows, checksum=read)
        meter.add(0)
        tables.append(seen)
        if table.rows is not None and seen.rows != table.rows:
            wrong.append(f"table {table.name} has {seen.rows} rows instead of {table.rows}")
        elif read and seen.checksum is None:
            wrong.append(f"table {table.name} cannot be read to its end")
        elif read and seen.checksum != known.get(table.name, seen.checksum):
            wrong.append(f"table {table.name} holds other rows than a drill has read (CHECKSUM TABLE)")
    if inexact:
        notes = (*notes, _LOSES_DIGITS + some(found.float_columns))
    return Comparison((*wrong, *otherwise), tuple(tables), notes, len(known))


def proven_checksums(measure: Measure, version: Version, inexact: Collection[str]) -> dict[str, int]:
    """The proof's checksums, by table, that must come out again on a server of this version.

    Invariant: none unless both servers are of one series, since a release may store a row in another form (MySQL
    manual, CHECKSUM TABLE); none of a clone's `inexact` tables, which have lost digits on their way through a dump.
    """
    proof = measure.proof
    if proof is None or not proof.ok or parse_version(proof.server)[:2] != version[:2]:
        return {}
    left_out = inexact if measure.manifest.engine == "clone" else ()
    return {
        table.name: table.checksum
        for table in proof.tables
        if table.checksum is not None and table.name not in left_out
    }


def unread(read: Iterable[Definition], found: DatabaseFacts, manifest: Manifest) -> tuple[str, ...]:
    """A note about what is there and was not compared, since the account may not see its definition."""
    left = {each.object for each in manifest.definitions} & set(objects_of(found)) - {each.object for each in read}
    return (f"the account may not see how these are defined, so that was not compared: {some(left)}",) if left else ()


def redefined(
    found: Iterable[Definition], manifest: Manifest, version: Version
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What is defined otherwise than it was, and what of that says nothing; one short sentence each.

    Invariant: a difference is a fault unless a server of another version may write the same in another way. mydumper is
    known to lose the sql_mode of programs and to change the text of their bodies, and was warned of. What is missing is
    told by its name, and not here.
    """
    recorded = {each.object: each for each in manifest.definitions}
    pairs = [(recorded[each.object], each) for each in found if each.object in recorded]
    texts = [there.object for here, there in pairs if here.sha256 != there.sha256]
    modes = [there.object for here, there in pairs if here.sql_mode != there.sql_mode]
    wrong, notes = list[str](), list[str]()
    before = parse_version(manifest.server.version)
    if same_text(before, version):
        for name in texts:
            program = not name.startswith(("TABLE ", "VIEW "))
            told = notes if program and manifest.engine == "mydumper" else wrong
            told.append(f"{name} is defined otherwise than it was")
    elif texts:
        notes.append(
            f"MySQL {show_version(version)} writes these otherwise than {show_version(before)}, so whether they are"
            f" defined as they were was not compared: {some(texts)}"
        )
    if modes:
        told = notes if manifest.engine == "mydumper" or before[:2] != version[:2] else wrong
        told.append(f"another sql_mode than it was made under: {some(modes)}")
    return tuple(wrong), tuple(notes)


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


def _read(connection: Connection, database: str, table: str, recorded: int | None, *, checksum: bool) -> TableProof:
    name = f"{quoted_name(database)}.{quoted_name(table)}"
    ((count,),) = rows(connection, f"SELECT COUNT(*) FROM {name}")  # noqa: S608 - both names are quoted
    value = None
    if checksum:
        # NULL, with a warning, for a table that could not be read.
        ((_, value),) = rows(connection, f"CHECKSUM TABLE {name} EXTENDED")
    return TableProof(name=table, rows=int(count), recorded=recorded, checksum=None if value is None else int(value))
