"""The area "backup" of `wbagent check` against a real MySQL and a real object store."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest

from tests.integration.backup_case import Case, make_case, proof_of
from tests.testbed.ceph import Ceph
from tests.testbed.mysql import MysqlServer
from tests.testbed.mysql_clients import ClientPrograms
from wbagent.backup.layout import manifest_key
from wbagent.backup.proof import write_proof
from wbagent.bucket.powers import clear
from wbagent.checks.backup import checks
from wbagent.checks.check import Finding, Subject
from wbagent.checks.run import run
from wbagent.checks.scratch import Scratch
from wbagent.config import Settings
from wbagent.config.dsn import S3URL, MysqlURL


def findings(settings: Settings) -> dict[str, list[Finding]]:
    """What each check of the area finds."""
    found: dict[str, list[Finding]] = {}
    for result in run({"backup": checks(settings)}, Subject(settings, Scratch())):
        found.setdefault(result.check, []).append(result.finding)
    return found


def verdicts(found: dict[str, list[Finding]], *names: str) -> list[str]:
    return [max(found[name], key=lambda each: each.verdict.rank).verdict for name in names]


@pytest.fixture
def case(
    tmp_path: Path, database: MysqlURL, clients: ClientPrograms, bucket: S3URL, monkeypatch: pytest.MonkeyPatch
) -> Case:
    made = make_case(tmp_path / "host", database, clients, bucket)
    monkeypatch.setenv("WBAGENT_STATE_DIRECTORY", str(made.state_directory))
    return made


def test_before_and_after_a_backup(case: Case, mysql: MysqlServer, database: MysqlURL, ceph: Ceph) -> None:
    before = findings(case.settings)
    assert verdicts(before, "reachable", "newest", "engine") == ["pass", "fail", "warn"]
    assert "no tables" in before["engine"][0].found
    mysql.execute("CREATE TABLE runs (id INT PRIMARY KEY)", database=database.database)
    case.run()
    after = findings(case.settings)
    assert verdicts(after, "newest", "programs", "engine") == ["note", "pass", "note"]
    assert after["engine"][0].found.startswith("mysqldump")
    # The store of this test is on this machine, and its keys may do everything.
    assert verdicts(after, "destination", "keys", "drill") == ["fail", "warn", "warn"]
    # A check leaves nothing behind.
    assert not [each.key for each in case.store.entries("host1/.check/")]


def test_what_an_interrupted_probe_left_is_removed(case: Case) -> None:
    case.store.put("host1/.check/left", b"x")
    backup = case.settings.backup
    assert backup.destination is not None
    clear(backup.destination, backup.owner, backup.request_checksum_calculation)
    assert not [each.key for each in case.store.entries("host1/.check/")]


def test_what_cannot_be_reached_is_told_once(case: Case) -> None:
    destination, url = case.settings.backup.destination, case.settings.database_url()
    assert destination is not None
    assert url is not None
    wrong: dict[str, Any] = {
        "backup": case.settings.backup.model_copy(
            update={"destination": replace(destination, secret_key="not-the-key")}
        ),
        "database": case.settings.database.model_copy(  # type: ignore[union-attr]
            update={"url": replace(url, password="not-the-password")}
        ),
    }
    found = findings(case.settings.model_copy(update=wrong))
    assert verdicts(found, "reachable", "keys", "newest") == ["fail", "fail", "note"]
    # Why the account cannot come in the area database tells.
    assert verdicts(found, "engine", "programs") == ["note", "note"]
    assert found["engine"][0].remedy == "wbagent check database"
    assert "not-the" not in f"{found}"


def test_programs_of_mariadb(case: Case, mysql: MysqlServer, database: MysqlURL, mariadb_mysqldump: Path) -> None:
    mysql.execute("CREATE TABLE runs (id INT PRIMARY KEY)", database=database.database)
    wrong = {
        "backup": case.settings.backup.model_copy(update={"mysqldump": str(mariadb_mysqldump)}),
    }
    found = findings(case.settings.model_copy(update=wrong))
    assert verdicts(found, "programs", "engine") == ["fail", "fail"]
    assert "MariaDB's program" in found["programs"][0].found


def test_a_second_host_with_the_same_owner_and_an_older_backup_found_bad(
    case: Case, mysql: MysqlServer, database: MysqlURL
) -> None:
    mysql.execute("CREATE TABLE runs (id INT PRIMARY KEY)", database=database.database)
    now = time.time()
    oldest, between, newest = (case.run(clock=repeat(at).__next__).manifest for at in (now - 7200, now - 3600, now))
    assert verdicts(findings(case.settings), "owner", "older") == ["pass", "pass"]
    others = between.model_copy(update={"host": "db2"})
    case.store.put(manifest_key(others.owner, others.id), others.to_bytes())
    write_proof(case.store, proof_of(oldest, ok=False))
    found = findings(case.settings)
    assert verdicts(found, "owner", "older") == ["fail", "warn"]
    assert f"db2, {newest.host}" in found["owner"][0].found
    assert f"{oldest.id} (disproven)" in found["older"][0].found
