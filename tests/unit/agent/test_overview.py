"""The agent's one-line story, for each state that a tired operator can meet."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from wbagent.agent.overview import (
    BACKUP_FACT,
    BACKUP_FAILURE_FACT,
    BINLOG_FACT,
    CONFIG_FACT,
    DATABASE_FACT,
    DRILL_FACT,
    NOT_YET_FACT,
    PROVEN_FACT,
    Overview,
    UnitState,
    unit_state,
)
from wbagent.agent.story import said_blind, story
from wbagent.cli.status import alert_lines, page_lines, server_belongs, well
from wbagent.state import Fact

NOW = 1_800_000_000.0
SERVING = UnitState("active", "running", enabled=True, text="", restarts=0, since=NOW - 7200)
IDLE = replace(SERVING, active="inactive", sub="dead", enabled=False)
BOTH = {"server": True, "database": True, "backup": True}
BACKUP = {"finished_at": NOW - 18_000, "stored_bytes": 2 * 1024**3, "off_site": True}


def overview(
    server: UnitState = SERVING, backup: UnitState = IDLE, firing: tuple[str, ...] = (), **facts: Any
) -> Overview:
    return Overview(server, SERVING, backup, None, facts, firing)


def told(**changes: Any) -> str:
    facts = {BACKUP_FACT: Fact(BACKUP, NOW - 18_000)} | changes.pop("facts", {})
    known = {name: changes.pop(name) for name in ("blind", "silenced") if name in changes}
    return story(replace(overview(**changes), facts=facts, **known), BOTH, NOW)


def test_all_is_well() -> None:
    assert told() == "server serving for 2h | backup 5h ago, 2.00G, off-site | no alerts"


@pytest.mark.parametrize(
    ("server", "says"),
    [
        (replace(SERVING, restarts=3), "server serving for 2h, restarted 3x"),
        (replace(SERVING, active="activating", text="migrations may run"), "server starting (migrations may run)"),
        (replace(SERVING, active="failed"), "server FAILED"),
        (replace(SERVING, active="deactivating"), "server stopping"),
        (IDLE, "server not running (systemctl enable --now wandb-local)"),
        (replace(IDLE, enabled=True), "server not running |"),
    ],
)
def test_the_server(server: UnitState, says: str) -> None:
    assert told(server=server).startswith(says)


def test_a_failed_backup_is_not_hidden_by_an_older_good_one() -> None:
    failed = {BACKUP_FAILURE_FACT: Fact({"reason": "x"}, NOW - 60)}
    assert "but the latest try FAILED" in told(facts=failed)
    mended = {BACKUP_FAILURE_FACT: Fact({"reason": "x"}, NOW - 90_000)}
    assert "FAILED" not in told(facts=mended)


def test_a_backup_on_this_host_is_not_called_off_site() -> None:
    assert "NOT off-site" in told(facts={BACKUP_FACT: Fact(BACKUP | {"off_site": False}, NOW)})


def test_a_database_that_is_away() -> None:
    away = {DATABASE_FACT: Fact({"ok": False, "text": "AWAY"}, NOW)}
    assert "| database AWAY |" in told(facts=away)


def test_no_backup_yet() -> None:
    assert "no backup yet" in story(overview(), BOTH, NOW)
    running = replace(SERVING, active="activating")
    assert "first backup is being made" in story(overview(backup=running), BOTH, NOW)


def test_an_empty_database_is_waited_for() -> None:
    facts = {NOT_YET_FACT: Fact({"reason": "nothing to back up yet: the server has made no tables"}, NOW - 60)}
    waiting = replace(overview(), facts=facts)
    assert "| no backup yet: the server has made no tables |" in story(waiting, BOTH, NOW)
    older = replace(waiting, facts=facts | {BACKUP_FAILURE_FACT: Fact({"reason": "x"}, NOW - 90)})
    assert older.backup_failure is None
    newer = replace(waiting, facts=facts | {BACKUP_FAILURE_FACT: Fact({"reason": "x"}, NOW - 30)})
    assert newer.backup_failure is not None
    assert "| no backup yet |" in story(newer, BOTH, NOW)


def test_alerts_come_last_and_loud() -> None:
    assert told(firing=("CPU at 40 % or more for 5min",)).endswith("ALERT: CPU at 40 % or more for 5min")


def test_nothing_configured_says_what_to_do() -> None:
    parts = dict.fromkeys(BOTH, False)
    for value, nothing in ((parts, True), (parts | {"refused": "x"}, True), (parts | {"backup": True}, False)):
        found = replace(overview(), facts={CONFIG_FACT: Fact({"refused": ""} | value, NOW)})
        assert found.unconfigured is nothing
    assert not overview().unconfigured
    assert "set [server] or [database]" in story(overview(), dict.fromkeys(BOTH, False), NOW)


@pytest.mark.parametrize(
    ("active", "text"), [("active", "serving"), ("activating", "serving"), ("inactive", ""), ("failed", "")]
)
def test_the_last_word_of_a_unit_that_has_ended_is_not_about_now(active: str, text: str) -> None:
    assert unit_state({"ActiveState": active, "StatusText": "serving"}).text == text


def test_a_unit_that_systemd_does_not_know() -> None:
    assert unit_state({}).active == "inactive"


@pytest.mark.parametrize(
    ("unit", "report", "says"),
    [
        (SERVING, {"covered_at": NOW, "behind": False}, "binary logs: everything is stored"),
        (SERVING, {"covered_at": NOW - 60}, "binary logs: up to 1min of work not stored yet"),
        (SERVING, {"covered_at": NOW - 60, "problem": "x is away"}, "binary logs: NOT STORED for 1min: x is away"),
        (
            replace(SERVING, active="failed"),
            {"covered_at": NOW - 60},
            "binary logs: NOT STORED since 1min ago, the unit is failed",
        ),
        (SERVING, None, "binary logs: the first are being stored"),
        (SERVING, {"of another": "release"}, "binary logs: the first are being stored"),
    ],
)
def test_binary_logs(unit: UnitState, report: dict[str, Any] | None, says: str) -> None:
    noted = {"noted_at": NOW - 1, "since": NOW - 900, "owner": "host1"} if report and "of another" not in report else {}
    facts = {} if report is None else {BINLOG_FACT: Fact(noted | report, NOW)}
    line = story(replace(overview(), binlog=unit, facts=facts), BOTH | {"binlog": True}, NOW)
    assert says in line


# --- proof ---


@pytest.mark.parametrize(
    ("facts", "drill", "says"),
    [
        ({PROVEN_FACT: Fact({"id": "b2"}, NOW)}, IDLE, "off-site, proven"),
        ({PROVEN_FACT: Fact({"id": "b2", "image": "mysql:8.4"}, NOW)}, IDLE, "off-site, proven (in mysql:8.4)"),
        ({PROVEN_FACT: Fact({"id": "b1"}, NOW - 90_000)}, IDLE, "off-site, not proven yet"),
        ({}, replace(IDLE, active="activating"), "off-site, is being proven"),
        ({DRILL_FACT: Fact({"result": "no mysqld"}, NOW)}, IDLE, "not proven: no mysqld on this host"),
        ({DRILL_FACT: Fact({"result": "disproven"}, NOW)}, IDLE, "NOT PROVEN: the drill failed"),
        # Another one succeeded since.
        (
            {DRILL_FACT: Fact({"result": "not done"}, NOW - 60), PROVEN_FACT: Fact({"id": "b2"}, NOW)},
            IDLE,
            "off-site, proven",
        ),
        ({CONFIG_FACT: Fact({"drill": False}, NOW)}, IDLE, "off-site | no alerts"),
    ],
)
def test_whether_the_newest_backup_is_proven(facts: dict[str, Fact], drill: UnitState, says: str) -> None:
    known = {BACKUP_FACT: Fact({**BACKUP, "id": "b2"}, NOW - 18_000), CONFIG_FACT: Fact({"drill": True}, NOW)} | facts
    assert says in story(replace(overview(), facts=known, drill=drill), BOTH, NOW)


def test_blind_alerts_come_first_and_are_read_out_of_the_story() -> None:
    line = told(blind="the state file cannot be used: disk is full")
    assert line.startswith("ALERTS ARE BLIND: the state file cannot be used: disk is full | server serving")
    assert "no alerts" not in line
    assert said_blind(replace(SERVING, text=line)) == "the state file cannot be used: disk is full"
    assert said_blind(replace(SERVING, text=told())) == ""
    assert said_blind(None) == ""


def test_what_is_silenced_is_not_nothing() -> None:
    assert told(silenced=("CPU at 40 %", "disk / is full")).endswith("| no alerts (2 silenced)")
    assert told(silenced=("CPU at 40 %",), firing=("MySQL does not answer",)).endswith(
        "| ALERT: MySQL does not answer (1 silenced)"
    )
    assert list(alert_lines(replace(overview(), silenced=("CPU at 40 %",)))) == [
        ("alerts", "none told"),
        ("", "1 silenced: CPU at 40 % (wbagent alerts list)"),
    ]
    assert list(alert_lines(overview())) == [("alerts", "none")]
    assert next(iter(alert_lines(replace(overview(), blind="disk is full")))) == (
        "alerts",
        "ALERTS ARE BLIND, nobody is told of anything: disk is full",
    )


@pytest.mark.parametrize("part", ["database", "backup", "drill"])
def test_what_a_part_left_behind_that_is_no_more_concerns_nobody(part: str) -> None:
    """Its last words stay in the state file; while the part is there they are a reason to look."""
    left = {
        "database": {DATABASE_FACT: Fact({"ok": False, "text": "AWAY"}, NOW - 60)},
        "backup": {BACKUP_FAILURE_FACT: Fact({"reason": "x"}, NOW - 60)},
        "drill": {DRILL_FACT: Fact({"result": "disproven", "id": "x", "reason": "x"}, NOW - 60)},
    }[part]
    for there in (True, False):
        configured = {"server": True, "database": True, "backup": True, "drill": True} | {part: there}
        seen = replace(overview(), facts={CONFIG_FACT: Fact(configured, NOW), **left})
        assert well(seen) is not there


DATABASE_ONLY = '[database]\nurl = "mysql://wandb:password@127.0.0.1:3306/wandb"\n'


def test_whether_a_server_belongs_to_a_host_of_which_nothing_is_noted(tmp_path: Path) -> None:
    config, absent = tmp_path / "wbagent.toml", tmp_path / "absent.toml"
    config.write_text(DATABASE_ONLY, encoding="utf-8")
    config.chmod(0o600)
    unknown = overview(server=IDLE)
    assert not server_belongs(unknown, config)
    assert "server" not in dict(page_lines(unknown, NOW, server=False))
    # As where the file may not be read: the unit tells, where it says anything.
    assert not server_belongs(unknown, absent)
    assert server_belongs(overview(server=replace(IDLE, enabled=True)), absent)
    assert server_belongs(overview(server=replace(IDLE, active="failed")), absent)
    noted = replace(unknown, facts={CONFIG_FACT: Fact({"server": True}, NOW)})
    assert server_belongs(noted, config), "what the agent noted comes first"
    config.write_text(
        '[server]\nembedded = true\nimage = "wandb/local:0.83.0"\nhost = "https://wandb.example.com"\n',
        encoding="utf-8",
    )
    assert server_belongs(unknown, config)
    assert dict(page_lines(unknown, NOW, server=True))["server"].startswith("not running")
