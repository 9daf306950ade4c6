"""What `wbagent backup show` says of rows and position, before and after a drill."""

from __future__ import annotations

from typing import Any

from tests.unit.backup.sample_manifest import manifest
from tests.unit.drill.test_drill_decisions import proof
from wbagent.backup.manifest import Position, TableRecord
from wbagent.backup.proof import TableProof
from wbagent.cli.backup_show import position_line, rows_line

AT = Position(gtid_set="u:1-9", file="binlog.000001", offset=157, exact=False)


def table(name: str, rows: int | None, guess: int) -> TableRecord:
    return TableRecord(name=name, engine="InnoDB", rows=rows, rows_estimate=guess)


def drilled(**changes: Any) -> Any:
    seen = tuple(TableProof(name=name, rows=rows, recorded=None, checksum=1) for name, rows in (("a", 3), ("b", 1010)))
    return proof(manifest(), tables=seen, gtid_executed="u:1-12", **changes)


def test_rows() -> None:
    whole = manifest(tables=(table("a", 3, 2), table("b", 1010, 900)))
    some = manifest(tables=(table("a", 3, 2), table("b", None, 900)))
    none = manifest(tables=(table("a", None, 2), table("b", None, 900)))
    assert rows_line(whole, None) == "1013 in 2 of 2 tables, counted at that moment"
    assert rows_line(some, None) == (
        "3 in 1 of 2 tables, counted at that moment; about 900 in the others, as MySQL guessed before"
    )
    assert rows_line(none, None) == "about 902, as MySQL guessed before"
    assert rows_line(none, drilled()) == "about 902, as MySQL guessed before; 1013 counted by the drill"
    assert rows_line(none, drilled(ok=False)) == "about 902, as MySQL guessed before"


def test_position() -> None:
    assert position_line(None, drilled()) == "not noted"
    assert position_line(AT, None) == "at least binlog.000001:157 u:1-9"
    assert position_line(AT, drilled()) == "at least binlog.000001:157 u:1-9; exactly u:1-12, as the drill saw"
    assert position_line(AT, drilled(ok=False)) == "at least binlog.000001:157 u:1-9"
    exact = AT.model_copy(update={"exact": True})
    assert position_line(exact, drilled()) == "binlog.000001:157 u:1-9"
