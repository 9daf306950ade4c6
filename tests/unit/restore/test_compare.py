"""What a difference from the commit record or the proof means: a fault, or only a note."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.unit.backup.sample_manifest import ID, manifest
from wbagent.backup.manifest import DefinitionRecord, EngineName
from wbagent.backup.proof import Proof, TableProof
from wbagent.database.definitions import Definition
from wbagent.database.schema import DatabaseFacts
from wbagent.restore.compare import Measure, proven_checksums, redefined, unread

NOW = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)
RECORDED = (
    DefinitionRecord(object="VIEW best", sha256="a"),
    DefinitionRecord(object="TRIGGER count", sha256="b", sql_mode="STRICT_TRANS_TABLES"),
    DefinitionRecord(object="EVENT gone", sha256="c"),
)
SAME = (Definition("VIEW best", "a"), Definition("TRIGGER count", "b", "STRICT_TRANS_TABLES"))
OTHER = (Definition("VIEW best", "x"), Definition("TRIGGER count", "b", ""), Definition("EVENT new", "n"))


def test_equal_definitions_say_nothing() -> None:
    assert redefined(SAME, manifest(definitions=RECORDED), (9, 7, 4)) == ((), ())
    assert redefined(OTHER, manifest(), (9, 7, 4)) == ((), ()), "a record of before has none"


def test_other_definitions_are_a_fault() -> None:
    wrong, notes = redefined(OTHER, manifest(definitions=RECORDED), (9, 7, 4))
    assert wrong == (
        "VIEW best is defined otherwise than it was",
        "another sql_mode than it was made under: TRIGGER count",
    )
    assert notes == ()


def test_other_text_of_another_version_is_a_note() -> None:
    wrong, notes = redefined(OTHER, manifest(definitions=RECORDED), (10, 0, 0))
    assert wrong == ()
    assert "MySQL 10.0.0 writes these otherwise than 9.7.4" in notes[0]
    assert "VIEW best" in notes[0]


def test_mydumper_is_known_to_change_programs_and_nothing_else() -> None:
    found = (OTHER[0], Definition("TRIGGER count", "y", ""))
    wrong, notes = redefined(found, manifest(definitions=RECORDED, engine="mydumper"), (9, 7, 4))
    assert wrong == ("VIEW best is defined otherwise than it was",)
    assert notes == (
        "TRIGGER count is defined otherwise than it was",
        "another sql_mode than it was made under: TRIGGER count",
    )


def test_what_the_account_may_not_see_is_noted() -> None:
    facts = DatabaseFacts("w", "", "", (), ("best",), (), ("count",), (), (), (), ())
    (note,) = unread(SAME[:1], facts, manifest(definitions=RECORDED))
    # What is gone is told by its name.
    assert note.endswith("was not compared: TRIGGER count")
    assert unread(SAME, facts, manifest(definitions=RECORDED)) == ()


def proof(*, ok: bool = True, server: str = "mysqld  Ver 9.7.4-2 for Linux") -> Proof:
    tables = [TableProof(name=name, rows=3, recorded=3, checksum=value) for name, value in (("runs", 7), ("audit", 8))]
    return Proof(
        id=ID,
        owner="host1",
        ok=ok,
        manifest_sha256="0" * 64,
        host="host1",
        server=server,
        started_at=NOW,
        finished_at=NOW,
        duration_s=1.0,
        tables=(*tables, TableProof(name="unread", rows=0, recorded=0, checksum=None)),
    )


@pytest.mark.parametrize(
    ("engine", "measured", "version", "tables"),
    [
        ("mysqldump", proof(), (9, 7, 5), {"runs": 7, "audit": 8}),
        # Of a clone, that has lost digits since the drill.
        ("clone", proof(), (9, 7, 5), {"audit": 8}),
        # Another series may store a row in another form.
        ("mysqldump", proof(), (9, 8, 0), {}),
        ("mysqldump", proof(server="mysqld  Ver 8.4.3"), (9, 7, 4), {}),
        ("mysqldump", proof(ok=False), (9, 7, 4), {}),
        ("mysqldump", None, (9, 7, 4), {}),
    ],
)
def test_which_checksums_must_come_out_again(
    engine: EngineName, measured: Proof | None, version: tuple[int, int, int], tables: dict[str, int]
) -> None:
    assert proven_checksums(Measure(manifest(engine=engine), measured), version, {"runs"}) == tables
