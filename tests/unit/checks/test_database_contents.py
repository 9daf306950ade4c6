"""How what a MySQL server holds is judged: character sets, engines, columns, and how it grows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.checks.database_case import (
    GIB,
    by_about,
    database,
    look,
    table,
    with_variables,
)
from wbagent.alerts.disk import FREE
from wbagent.checks.database import charset, growth, tables
from wbagent.checks.database.look import Collations
from wbagent.moment import Moment
from wbagent.monitor.disk import Asker, file_systems
from wbagent.monitor.sample import Sample
from wbagent.monitor.samples import FILE, Bucket, Collector


def test_all_utf8mb4() -> None:
    assert {each.verdict for each in charset.judge(look())} == {"pass"}


def test_server_and_database_in_another_character_set() -> None:
    seen = with_variables(character_set_server="latin1", collation_server="latin1_swedish_ci")
    old = replace(seen, database=database(charset="utf8mb3", collation="utf8mb3_general_ci"))
    found = by_about(charset.judge(old))
    assert found["server"].verdict == "note"
    assert found["database wandb_local"].verdict == "fail"
    assert "ALTER DATABASE `wandb_local` CHARACTER SET utf8mb4" in found["database wandb_local"].remedy


def test_database_in_another_collation() -> None:
    seen = look(database=database(collation="utf8mb4_0900_ai_ci"))
    assert by_about(charset.judge(seen))["database wandb_local"].verdict == "warn"


def test_tables_in_other_collations() -> None:
    found = list(charset.tables("w", {"a": "latin1_swedish_ci", "b": "utf8mb4_0900_ai_ci", "c": "utf8mb4_general_ci"}))
    assert [(each.verdict, each.found) for each in found] == [
        ("fail", "1 of 3 are not utf8mb4: a (latin1_swedish_ci)"),
        ("warn", "1 of 3 have another collation: b (utf8mb4_0900_ai_ci)"),
    ]
    assert "ALTER TABLE `w`.`a` CONVERT TO CHARACTER SET utf8mb4" in found[0].remedy


def test_many_tables_are_not_all_written_out() -> None:
    (found,) = charset.tables("w", {f"t{number}": "utf8mb3_bin" for number in range(30)})
    assert found.remedy.count("ALTER TABLE") == 5
    assert "the same for 25 more" in found.remedy


def test_columns() -> None:
    columns = {"runs.name": "latin1_swedish_ci", "runs.hash": "ascii_bin", "runs.key": "utf8mb4_bin"}
    found = charset.judge(look(collations=Collations({"runs": "utf8mb4_general_ci"}, columns)))
    told = [(each.verdict, each.found) for each in found if each.about == "columns"]
    assert told == [
        ("warn", "1 are not utf8mb4: runs.name (latin1_swedish_ci)"),
        ("note", "2 differ from their table, which can be on purpose: runs.hash (ascii_bin), runs.key (utf8mb4_bin)"),
    ]


# --- tables ----------------------------------------------------------------------------------------------------------


def test_database_that_is_not_there_or_empty() -> None:
    missing = tables.presence(look(database=None))
    assert (missing.verdict, "wbagent database init" in missing.remedy) == ("fail", True)
    assert tables.presence(look(database=database())).verdict == "note"
    assert tables.presence(look()).found == "wandb_local: 1000B in 1 tables, the largest is runs (1000B)"


def test_storage_engines() -> None:
    assert tables.engines(database(table("runs"))).verdict == "pass"
    found = tables.engines(database(table("runs"), table("old", "MyISAM")))
    assert (found.verdict, found.remedy) == ("fail", "ALTER TABLE `wandb_local`.`old` ENGINE = InnoDB;")


def test_float_columns() -> None:
    assert tables.floats(database(), "auto").verdict == "pass"
    found = tables.floats(database(float_columns=("runs.loss",)), "auto")
    assert (found.verdict, "runs.loss" in found.found) == ("note", True)


DAY = 86400


@pytest.mark.parametrize(
    ("past", "full_in", "expected", "words"),
    [
        ((), None, "note", "not known yet"),
        (((0, 100.0), (3600, 90.0)), None, "note", "not known yet"),
        (((0, 3.0 * GIB), (DAY, 2.0 * GIB)), None, "pass", "1.00G a day more"),
        (((0, 2.0 * GIB), (2 * DAY, 4.0 * GIB)), None, "pass", "1.00G a day less"),
        (((0, 3.0 * GIB), (DAY, 2.0 * GIB)), 2.0 * DAY, "note", "full in 2d"),
    ],
)
def test_growth(past: tuple[tuple[int, float], ...], full_in: float | None, expected: str, words: str) -> None:
    found = growth.judge([Bucket(at, 3600, mean, mean, mean) for at, mean in past], full_in)
    assert (found.verdict, words in found.found) == (expected, True)


@pytest.mark.parametrize(("hours", "expected"), [(30, "1.00G a day more"), (3, "not known yet")])
def test_growth_by_the_samples_of_this_host(
    hours: int, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WBAGENT_STATE_DIRECTORY", str(tmp_path))
    now = Moment.now()
    answer = Asker().answers([str(tmp_path)])[str(tmp_path)]
    (system,) = file_systems([("mysql", answer)])
    collector = Collector()
    for ago in range(hours, -1, -1):
        free = 1000 * GIB + ago / 24 * GIB
        collector.take([Sample(FREE, free, (("path", system.point),))], now.wall - 3600 * ago)
    collector.store(tmp_path / FILE, now)
    seen = with_variables(datadir=str(tmp_path))
    (found,) = growth.growth_of(replace(seen, local=True), now.wall)
    assert expected in found.found
    # Of a server elsewhere this host has no samples.
    assert list(growth.growth_of(seen, now.wall)) == []
