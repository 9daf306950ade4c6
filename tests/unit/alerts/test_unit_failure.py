"""What is told of a unit that failed: how it ended in words, its own reason and hint, and bursts as one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from wbagent.alerts import database, judging, outbox
from wbagent.alerts.settings import alert_settings
from wbagent.alerts.unit_facts import last_words
from wbagent.alerts.unit_failure import Ended, compose
from wbagent.alerts.unit_report import report
from wbagent.config import Settings, load
from wbagent.config.model import AlertSettings
from wbagent.errors import ConfigError
from wbagent.moment import Moment
from wbagent.state import State

TO = AlertSettings.model_validate({"to": ["json://alerts.example.com/"]})


@pytest.mark.parametrize(
    ("ended", "words"),
    [
        (Ended("exit-code", "exited", "74", ""), "ended with exit status 74/IOERR"),
        (Ended("exit-code", "exited", "3", ""), "ended with exit status 3"),
        (Ended("signal", "killed", "KILL", ""), "was killed by signal KILL"),
        (Ended("core-dump", "dumped", "SEGV", ""), "was killed by signal SEGV"),
        (Ended("timeout", "killed", "TERM", ""), "took longer than its time limit and was ended"),
        (Ended("oom-kill", "killed", "KILL", ""), "was killed because memory ran out"),
        (Ended("", "", "", ""), "failed (systemd names no reason)"),
    ],
)
def test_how_it_ended_in_words(ended: Ended, words: str) -> None:
    assert ended.sentence("en") == words


def test_systemd_tells_the_unit_that_it_starts() -> None:
    told = {
        "MONITOR_SERVICE_RESULT": "exit-code",
        "MONITOR_EXIT_CODE": "exited",
        "MONITOR_EXIT_STATUS": "74",
        "MONITOR_INVOCATION_ID": "abc",
        "MONITOR_UNIT": "wbagent-backup.service",
    }
    assert Ended.from_environment(told) == Ended("exit-code", "exited", "74", "abc")
    assert Ended.from_environment({}) is None


@pytest.mark.parametrize(
    "unit", ["wandb-local.service", "wbagent.service", "wbagent-backup.service", "wbagent-drill.service"]
)
def test_every_part_is_there(unit: str) -> None:
    message = compose(unit, Ended("exit-code", "exited", "1", ""), "the disk is full", "", 0.0, "en")
    assert message.what == f"{unit} ended with exit status 1: the disk is full"
    assert message.why
    assert message.remedy
    assert unit in message.look


def test_the_units_own_hint_goes_before_ours() -> None:
    message = compose("wbagent-backup.service", Ended("", "", "", ""), "no space", "make room in the bucket", 0.0, "en")
    assert message.remedy == "make room in the bucket"


@pytest.fixture
def backup_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment in which systemd starts wbagent-alert@wbagent-backup.service.service."""
    monkeypatch.setenv("MONITOR_UNIT", "wbagent-backup.service")
    monkeypatch.setenv("MONITOR_SERVICE_RESULT", "exit-code")
    monkeypatch.setenv("MONITOR_EXIT_CODE", "exited")
    monkeypatch.setenv("MONITOR_EXIT_STATUS", "74")
    monkeypatch.setenv("MONITOR_INVOCATION_ID", "0" * 32)


@pytest.mark.usefixtures("backup_ended")
def test_a_failed_backup_tells_its_own_reason(state: State) -> None:
    state.put("backup.last_failure", {"at": 1000.0, "reason": "mysqldump was killed", "hint": "look at memory"}, 1000.0)
    message = report(state, "wbagent-backup.service", TO, Moment(1001.0, 1.0, "boot"))
    assert message is not None
    assert message.what == "wbagent-backup.service ended with exit status 74/IOERR: mysqldump was killed"
    assert message.remedy == "look at memory"
    assert [row.message for row in outbox.waiting(state)] == [message]


@pytest.mark.usefixtures("backup_ended")
def test_yesterdays_reason_is_not_todays(state: State) -> None:
    state.put("backup.last_failure", {"at": 1000.0, "reason": "mysqldump was killed", "hint": ""}, 1000.0)
    message = report(state, "wbagent-backup.service", TO, Moment(87_400.0, 1.0, "boot"))
    assert message is not None
    assert "mysqldump" not in message.what


@pytest.mark.usefixtures("backup_ended")
def test_every_failed_backup_is_told(state: State) -> None:
    for second in range(3):
        assert report(state, "wbagent-backup.service", TO, Moment(1000.0 + second, second, "boot"))
    assert len(outbox.waiting(state)) == 3


@pytest.mark.usefixtures("backup_ended")
def test_a_backup_that_fails_because_the_database_is_away_is_not_told_beside_that(state: State) -> None:
    for second in range(0, 61, 30):
        now = Moment(1000.0 + second, float(second), "boot")
        gone = database.away(Settings(), "db1:3306", "MySQL at db1:3306 refuses connections", "")
        judging.judge(state, AlertSettings(), {database.AWAY}, [gone], now)
    assert report(state, "wbagent-backup.service", TO, Moment(1061.0, 61.0, "boot"))
    assert outbox.waiting(state) == ()


def test_a_drill_that_could_not_be_made_is_told_by_its_unit(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONITOR_UNIT", "wbagent-drill.service")
    monkeypatch.setenv("MONITOR_SERVICE_RESULT", "exit-code")
    state.put("drill.last", {"id": "", "result": "not done", "reason": "the store is away", "hint": ""}, 1000.0)
    message = report(state, "wbagent-drill.service", TO, Moment(1001.0, 2.0, "boot"))
    assert message
    assert (message.title, "the store is away" in message.what) == ("a backup is not proven", True)


def test_a_unit_that_fails_in_a_loop_is_told_in_summaries(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONITOR_SERVICE_RESULT", "signal")
    monkeypatch.setenv("MONITOR_UNIT", "wbagent.service")
    titles = []
    for number in range(20):
        monkeypatch.setenv("MONITOR_INVOCATION_ID", f"{number:032x}")
        message = report(state, "wbagent.service", TO, Moment(1000.0 + 60 * number, 60.0 * number, "boot"))
        titles += [message.title] if message else []
    assert titles == ["the agent failed", "the agent failed, 10 times in 9min"]


WRONG_ELSEWHERE = """
[server]
host = "no url"
[alerts]
to = ["json://alerts.example.com/"]
repeat_every = "1h"
"""


def test_a_failure_that_is_the_last_one_is_told_within_a_burst_too(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted only, it would wait for a summary that the next failure brings, and there is none."""
    monkeypatch.setenv("MONITOR_SERVICE_RESULT", "watchdog")
    monkeypatch.setenv("MONITOR_INVOCATION_ID", "first")
    assert report(state, "wbagent.service", TO, Moment(1000.0, 0.0, "boot"))
    monkeypatch.setenv("MONITOR_SERVICE_RESULT", "exit-code")
    monkeypatch.setenv("MONITOR_EXIT_CODE", "exited")
    monkeypatch.setenv("MONITOR_EXIT_STATUS", "78")
    monkeypatch.setenv("MONITOR_INVOCATION_ID", "last")
    message = report(state, "wbagent.service", TO, Moment(1060.0, 60.0, "boot"))
    assert message
    assert "ended with exit status 78/CONFIG" in message.what


def test_who_is_told_is_known_even_when_the_rest_of_the_configuration_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "wbagent.toml"
    path.write_text(WRONG_ELSEWHERE)
    with pytest.raises(ConfigError):
        load(path)
    settings = alert_settings(path)
    assert [url.get_secret_value() for url in settings.to] == ["json://alerts.example.com/"]
    assert settings.repeat_every == 3600.0


@pytest.mark.parametrize("text", ["[alerts\n", "[alerts]\nto = 5\n", 'alerts = "x"\n', ""])
def test_where_that_cannot_be_known_nobody_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "wbagent.toml"
    path.write_text(text)
    assert alert_settings(path).to == ()
    assert alert_settings(tmp_path / "missing.toml").to == ()


def test_an_alert_that_the_agent_told_is_not_why_it_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are errors in its journal, and the alert about a full disk is the newer one."""
    own = {"MESSAGE": "the state file cannot be used\n  try: df -h"}
    alert = {"MESSAGE": "[critical] db1: disk /srv is FULL", "WBAGENT_ALERT": "disk-full:/srv"}
    journal = tmp_path / "journal"
    program = tmp_path / "journalctl"
    program.write_text(f"#!/bin/sh\ncat {journal}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    killed = Ended("signal", "killed", "KILL", "1234")
    for entries, words in (
        ([own, alert], ("the state file cannot be used", "df -h")),
        ([alert], ("", "")),
    ):
        journal.write_text("".join(f"{json.dumps(entry)}\n" for entry in entries))
        assert last_words("wbagent.service", killed) == words
