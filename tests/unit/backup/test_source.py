"""What is refused before a dump, and what is found out after it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.backup.test_clone_checks import server
from wbagent.backup.engines.mysqldump import inexact
from wbagent.backup.source import Source, check_complete, refuse_changed, unseen
from wbagent.database.definitions import Definition
from wbagent.database.schema import DatabaseFacts, TableFacts
from wbagent.errors import BackupError

SERVER = server()


def table(name: str, definition: str = "v1", engine: str = "InnoDB") -> TableFacts:
    return TableFacts(name, engine, 10, 16384, definition)


def database(*tables: TableFacts) -> DatabaseFacts:
    return DatabaseFacts("w", "utf8mb4", "utf8mb4_general_ci", tables, (), (), (), (), (), (), ())


def test_every_table_was_dumped() -> None:
    facts = database(table("a"), table("b"))
    assert check_complete(facts, facts, ["a", "b"]) == ()


def test_table_missing_in_the_dump() -> None:
    facts = database(table("a"), table("b"))
    with pytest.raises(BackupError, match="1 of 2 tables are missing in the dump: b"):
        check_complete(facts, facts, ["a"])


@pytest.mark.parametrize("after", [database(table("a", "v2")), database()])
def test_table_altered_or_dropped_meanwhile(after: DatabaseFacts) -> None:
    with pytest.raises(BackupError, match="altered, truncated or dropped"):
        check_complete(database(table("a")), after, ["a"])


def test_anything_else_changed_or_dropped_meanwhile() -> None:
    before = (Definition("VIEW v", "a"), Definition("TRIGGER t", "b", "STRICT_TRANS_TABLES"))
    refuse_changed(before, (*before, Definition("EVENT new", "c")))
    for after in (before[:1], (before[0], Definition("TRIGGER t", "b"))):
        with pytest.raises(BackupError, match="1 definitions were changed or dropped during the backup: TRIGGER t"):
            refuse_changed(before, after)


def test_what_the_account_may_not_see_is_told() -> None:
    facts = replace(database(table("a")), routines=("FUNCTION f",))
    seen = (Definition("TABLE a", "1"),)
    (warning,) = unseen(Source(SERVER, facts, 0, seen))
    assert warning.endswith("no drill can tell: FUNCTION f")
    assert unseen(Source(SERVER, facts, 0, (*seen, Definition("FUNCTION f", "2")))) == ()


def test_table_made_meanwhile_is_told() -> None:
    warnings = check_complete(database(table("a")), database(table("a"), table("new")), ["a"])
    assert warnings == ("made during the dump and not in it: new",)


def test_what_a_dump_does_not_carry_over_exactly() -> None:
    facts = replace(database(table("a", engine="MyISAM")), float_columns=("a.x",))
    floats, engines = inexact(facts)
    assert "a.x" in floats
    assert "a (MyISAM)" in engines
    assert inexact(database(table("a"))) == ()
