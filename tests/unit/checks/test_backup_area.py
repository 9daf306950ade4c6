"""Each judgement of the area "backup": where it fails, for the right reason, and where it passes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from wbagent.backup.retention import Backup, Standing
from wbagent.binlog.gtid import GtidSet
from wbagent.binlog.lag import Report
from wbagent.bucket.verdict import Finding as Found
from wbagent.bucket.verdict import Verdict as Judged
from wbagent.checks.backup import checks
from wbagent.checks.backup.making import drill, judge_image, judge_program
from wbagent.checks.backup.place import judge_destination, judge_keys
from wbagent.checks.backup.planned import (
    judge_binary_logs,
    judge_encryption,
    judge_kept,
    judge_retention,
    judge_schedule,
)
from wbagent.checks.backup.stored import judge_newest, judge_older, judge_owner, judge_room
from wbagent.checks.check import Finding, Subject, passed
from wbagent.checks.once import Once
from wbagent.checks.scratch import Scratch
from wbagent.config import Settings
from wbagent.config.dsn import S3URL
from wbagent.config.model import BackupSettings
from wbagent.errors import BucketError
from wbagent.monitor.disk import Space

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
URL = S3URL.parse("s3://KEY:SECRET@offsite.example.com/backups/host1?tls=true")


def settings(**backup: Any) -> Settings:
    return Settings.model_validate({"backup": backup})


def test_destination() -> None:
    assert judge_destination(URL, here=False, beside_database=False).verdict == "pass"
    assert judge_destination(None, here=False, beside_database=False).verdict == "fail"
    assert "this very machine" in judge_destination(URL, here=True, beside_database=True).found
    assert "the database's machine" in judge_destination(URL, here=False, beside_database=True).found


def test_keys() -> None:
    verdict = Judged(
        True, False, (Found("bad", "they could destroy", "lock_days"), Found("good", "no"), Found("note", "left"))
    )
    found = list(judge_keys(verdict, may_write=True))
    assert [each.verdict for each in found] == ["warn", "pass", "note"]
    assert found[0].remedy == "lock_days; wbagent backup check-destination"
    assert next(judge_keys(verdict, may_write=False)).verdict == "fail"


@pytest.mark.parametrize(
    ("standing", "hours", "drills", "verdict"),
    [
        (Standing.PROVEN, 9, True, "pass"),
        (Standing.PROVEN, 27, True, "fail"),
        (Standing.COMMITTED, 9, True, "warn"),
        (Standing.COMMITTED, 9, False, "note"),
        (Standing.DISPROVEN, 9, True, "fail"),
        (Standing.DAMAGED, 9, True, "fail"),
        (None, 0, True, "fail"),
    ],
)
def test_newest(standing: Standing | None, hours: int, drills: bool, verdict: str) -> None:
    newest = Backup("20261126T030000Z", standing, NOW - timedelta(hours=hours)) if standing else None
    assert judge_newest(newest, settings(drill={"enabled": drills}), NOW, provable=True).verdict == verdict


def test_newest_where_no_drill_can_be_made() -> None:
    newest = Backup("20261126T030000Z", Standing.COMMITTED, NOW - timedelta(hours=9))
    assert judge_newest(newest, settings(), NOW, provable=False).verdict == "note"


def test_older_ones_that_are_no_good_are_told() -> None:
    older = [Backup(f"2026112{day}T030000Z", Standing.PROVEN, NOW) for day in range(5)]
    assert judge_older([]).verdict == judge_older(older).verdict == "pass"
    bad = judge_older([*older, Backup("20261110T030000Z", Standing.DISPROVEN, NOW)])
    assert (bad.verdict, bad.found) == ("warn", "1 of 6 older backups are no good: 20261110T030000Z (disproven)")
    assert "wbagent backup show 20261110T030000Z" in bad.remedy
    assert judge_older([Backup("20261110T030000Z", Standing.DAMAGED, NOW)]).verdict == "warn"


def test_two_hosts_with_one_owner_are_no_host_that_took_anothers_place() -> None:
    assert judge_owner([], "db").verdict == judge_owner(["db1", "db1"], "db").verdict == "pass"
    assert judge_owner(["db1", "db1", "db2"], "db").verdict == "note"
    two = judge_owner(["db1", "db2", "db1"], "db")
    assert (two.verdict, "2 hosts back up as owner 'db' (db1, db2)" in two.found) == ("fail", True)
    assert "[backup] owner" in two.remedy


def test_room_for_drills() -> None:
    space = Space(100, 50, 50, 0, 0)
    assert judge_room("/var/lib/wbagent", space, 50).verdict == "pass"
    assert judge_room("/var/lib/wbagent", space, 51).verdict == "warn"
    assert judge_room("/var/lib/wbagent", space, None).verdict == "note"
    assert judge_room("/var/lib/wbagent", None, 51).verdict == "note"


def test_a_program_that_is_not_there() -> None:
    found = judge_program("/nowhere/mysqldump", "mysqldump", (9, 7, 0))
    assert found.verdict == "fail"
    assert "not found" in found.found
    assert "mysql-community-client" in found.remedy


def test_image_for_drills() -> None:
    assert judge_image("mysql:8.4", {}).verdict == "pass"
    assert judge_image("mysql:8.4", None).verdict == "note"


@pytest.mark.parametrize(
    ("options", "verdict", "said"),
    [
        ({"enabled": False}, "warn", "switched off"),
        ({"mysqld": "/nowhere/mysqld"}, "warn", "there is no mysqld on this host"),
    ],
)
def test_where_no_drill_is_made(options: dict[str, object], verdict: str, said: str) -> None:
    found = drill(settings(drill=options))(Subject(Settings(), Scratch()))
    assert isinstance(found, Finding)
    assert (found.verdict, said in found.found) == (verdict, True)


def test_a_mysqld_to_drill_with(tmp_path: Path) -> None:
    program = tmp_path / "mysqld"
    program.write_text("#!/bin/sh\necho 'mysqld  Ver 9.7.1 for Linux on x86_64 (MySQL Community Server - GPL)'\n")
    program.chmod(0o755)
    found = drill(settings(drill={"mysqld": str(program)}))(Subject(Settings(), Scratch()))
    assert isinstance(found, Finding)
    assert (found.verdict, found.found) == ("pass", f"in {program}, MySQL 9.7.1")


def test_what_is_planned() -> None:
    assert judge_retention(7).verdict == "pass"
    assert judge_retention(6).verdict == "warn"
    assert judge_schedule(BackupSettings.model_validate({})).verdict == "pass"
    assert judge_schedule(BackupSettings.model_validate({"fresh_within": "12h"})).verdict == "note"
    assert judge_encryption(("age1x",)).verdict == "pass"
    assert judge_encryption(()).verdict == "note"


def binlogs(**report: Any) -> Finding:
    now = NOW.timestamp()
    told = {"noted_at": now, "covered_at": now - 1.0, "behind": False} | report
    known = Report(since=now - 1000, owner="host1", **told)
    return judge_binary_logs(settings(binlog={"enabled": True}), known, now)


def test_binary_logs() -> None:
    now = NOW.timestamp()
    assert judge_binary_logs(settings(), None, now).verdict == "note"
    assert judge_binary_logs(settings(binlog={"enabled": True}), None, now).verdict == "fail"
    assert binlogs().verdict == "pass"
    assert binlogs(problem="the account may not", hint="GRANT it").remedy == "GRANT it"
    assert "the unit is gone" in binlogs(noted_at=now - 1000).found
    assert binlogs(behind=True, covered_at=now - 400).verdict == "warn"
    assert binlogs(gap="binlog.7 was purged", gap_at=now - 10).verdict == "fail"
    assert binlogs(gap="binlog.7 was purged", gap_at=now - 10, sound_at=now - 5).verdict == "pass"


def test_binary_logs_that_are_gone_from_the_store() -> None:
    good = binlogs()
    assert judge_kept(good, GtidSet()) is good
    gone = judge_kept(good, GtidSet.parse("3e11fa47-71ca-11e1-9e33-c80aa9429562:7-9"))
    assert (gone.verdict, gone.found[:14]) == ("fail", "3 transactions")
    older = judge_kept(good, GtidSet(), ("host1/binlogs/x.json",))
    assert (older.verdict, "host1/binlogs/x.json cannot be read" in older.found) == ("warn", True)


def test_what_hangs_on_one_look_tells_its_failure_once() -> None:
    asked = []

    def ask() -> str:
        asked.append(1)
        raise BucketError("no such bucket")

    once, subject = Once(ask, "the store does not answer"), Subject(Settings(), Scratch())
    first, second = once.then(passed), once.then(passed)
    with pytest.raises(BucketError):
        first(subject)
    (told,) = second(subject)
    assert (told.verdict, told.found) == ("note", "not looked at: the store does not answer")
    assert len(asked) == 1
    elsewhere = Once(ask, "the database cannot be looked at", told_by="wbagent check database")
    told_there = [elsewhere.then(passed)(subject)[0] for _ in range(2)]
    assert [each.verdict for each in told_there] == ["note", "note"]
    assert told_there[0].remedy == "wbagent check database"
    (well,) = Once(lambda: "fine", "").then(passed)(subject)
    assert well.found == "fine"


def test_a_host_without_a_database_has_one_note() -> None:
    (only,) = checks(Settings())
    assert only.name == "backup"


def test_switched_off() -> None:
    found = checks(
        Settings.model_validate({"database": {"url": "mysql://u:p@db1.example.com/d"}, "backup": {"enabled": False}})
    )
    assert [each.name for each in found] == ["backups"]
    result = found[0].run(Subject(Settings(), Scratch()))
    assert isinstance(result, Finding)
    assert result.verdict == "warn"
