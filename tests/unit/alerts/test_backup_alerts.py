"""The lasting alerts about backups: each fires once with its evidence and remedy, and is over once."""

from __future__ import annotations

from typing import Any

import pytest

from wbagent.alerts import backup, outbox, states
from wbagent.alerts.message import Kind, Message
from wbagent.alerts.state_file import tell_damage
from wbagent.alerts.unit_report import report
from wbagent.config import Settings
from wbagent.config.dsn import S3URL, MysqlURL
from wbagent.moment import Moment
from wbagent.state import SET_ASIDE, State

HOUR = 3600.0
DESTINATION = "s3://KEY:SECRET@offsite.example.com/wandb-backups?region=eu-west-1"
LAST = {
    "id": "20261124T030000Z",
    "owner": "host1",
    "plain_bytes": 3 << 30,
    "previous_plain_bytes": 3 << 30,
    "destination": "s3://offsite.example.com/wandb-backups",
    "beside_database": False,
}


def settings(drill: bool = False, **changes: Any) -> Settings:
    keys = {"destination": S3URL.parse(DESTINATION), "owner": "host1", "drill": {"enabled": drill}, **changes}
    database = {"url": MysqlURL.parse("mysql://u:p@db1/wandb_local")}
    return Settings.model_validate(
        {"database": database, "backup": keys, "alerts": {"to": ["json://one.example.com/"]}}
    )


def at(hours: float) -> Moment:
    return Moment(1_800_000_000.0 + hours * HOUR, hours * HOUR, "boot")


def put(state: State, name: str, hours: float, **value: Any) -> None:
    base = {**LAST, "finished_at": at(hours).wall} if name != "backup.last_failure" else {}
    state.put(name, {**base, **value}, at(hours).wall)


def told(state: State, chosen: Settings, hours: float) -> list[Message]:
    """What one look at that hour puts into the outbox."""
    before = {row.id for row in outbox.waiting(state)}
    backup.judge(state, chosen, at(hours))
    return [row.message for row in outbox.waiting(state) if row.id not in before]


def test_no_backup_was_ever_made(state: State) -> None:
    """The unit was never started: nobody but the agent would say so."""
    for hours in (0, 10, 25.9):
        assert told(state, settings(), hours) == []
    (message,) = told(state, settings(), 26.1)
    assert (message.fingerprint, message.kind, message.severity) == ("backup-stale", Kind.FIRING, "critical")
    assert message.title == "no backup for 1d 2h"
    assert "There is none yet." in message.what
    assert message.remedy == "wbagent backup run"
    assert told(state, settings(), 26.2) == []
    assert states.firing_titles(states.stored(state)) == ("no backup for 1d 2h",)
    put(state, "backup.last", 27)
    (over,) = told(state, settings(), 27.1)
    assert (over.kind, over.what) == (Kind.RESOLVED, "There is a backup younger than 1d 2h again.")
    assert told(state, settings(), 27.2) == []


def test_a_backup_that_no_drill_has_proven_is_not_fresh(state: State) -> None:
    chosen = settings(drill=True)
    put(state, "drill.proven", 0)
    told(state, chosen, 0)
    put(state, "backup.last", 24, id="20261125T030000Z")
    put(state, "drill.last", 24.5, result="not done", reason="the disk is full", hint="make room")
    (message,) = told(state, chosen, 27)
    assert message.title == "no proven backup for 1d 2h"
    assert "It is 20261124T030000Z. 20261125T030000Z was made and is not proven." in message.what
    assert "The last drill failed: the disk is full" in message.what
    assert message.remedy == "make room"
    put(state, "drill.proven", 24, id="20261125T030000Z")
    assert [each.kind for each in told(state, chosen, 28)] == [Kind.RESOLVED]


def test_a_host_that_cannot_drill_goes_by_the_commit_record(state: State) -> None:
    chosen = settings(drill=True)
    told(state, chosen, 0)
    put(state, "backup.last", 20)
    put(state, "drill.last", 20, result="no mysqld", reason="there is no mysqld")
    assert told(state, chosen, 30) == []
    (message,) = told(state, chosen, 47)
    assert message.title == "no backup for 1d 2h"


def test_the_reason_of_the_newest_failure_is_told(state: State) -> None:
    told(state, settings(), 0)
    put(state, "backup.last_failure", 20, reason="MySQL is away", hint="start it")
    (message,) = told(state, settings(), 27)
    assert "The last backup failed: MySQL is away" in message.what
    assert message.remedy == "start it"


def test_another_owners_backup_is_no_backup(state: State) -> None:
    put(state, "backup.last", 26, owner="host2")
    told(state, settings(), 0)
    assert [each.fingerprint for each in told(state, settings(), 27)] == ["backup-stale"]


def test_switched_off_while_firing(state: State) -> None:
    told(state, settings(), 0)
    told(state, settings(), 27)
    (over,) = told(state, settings(enabled=False), 28)
    assert over.what == "Backups are switched off on this host."
    assert told(state, settings(), 29) == []
    assert states.stored(state) == ()


@pytest.mark.parametrize(("size", "fires"), [(3 << 29, False), ((3 << 29) - 1, True), (9 << 30, False)])
def test_a_backup_that_shrank(state: State, size: int, fires: bool) -> None:
    put(state, "backup.last", 0, plain_bytes=size)
    messages = told(state, settings(), 1)
    assert [each.fingerprint for each in messages] == ["backup-shrunk"] * fires
    if fires:
        assert "holds 1.50G, the one before it held 3.00G" in messages[0].what
        put(state, "backup.last", 2, previous_plain_bytes=size, plain_bytes=size)
        assert [each.kind for each in told(state, settings(), 3)] == [Kind.RESOLVED]


def test_a_first_backup_has_not_shrunk(state: State) -> None:
    put(state, "backup.last", 0, previous_plain_bytes=0)
    assert told(state, settings(), 1) == []


def test_a_bad_backup(state: State) -> None:
    put(state, "drill.proven", 0)
    put(state, "drill.last", 0, result="disproven", reason="table runs is missing", hint="make another")
    (message,) = told(state, settings(drill=True), 1)
    assert (message.fingerprint, message.severity, message.remedy) == ("backup-drill", "critical", "make another")
    assert "table runs is missing" in message.what
    put(state, "drill.last", 2, result="proven", reason="")
    assert [each.kind for each in told(state, settings(drill=True), 3)] == [Kind.RESOLVED]


def test_backups_beside_the_database_are_told_once_a_week(state: State) -> None:
    put(state, "backup.last", 0, beside_database=True)
    chosen = settings(fresh_within="52w")
    weeks = [hours for hours in range(1, 24 * 15, 4) if told(state, chosen, hours)]
    assert len(weeks) == 3
    assert weeks[1] - weeks[0] >= 7 * 24


def test_a_state_file_that_was_set_aside_is_told_once(state: State) -> None:
    assert tell_damage(state, settings(), at(0)) is None
    state.put(SET_ASIDE, {"file": "/x/state.db.damaged-1", "reason": "malformed", "told": False}, 1.0)
    message = tell_damage(state, settings(), at(0))
    assert message
    assert "it is now /x/state.db.damaged-1" in message.what
    assert [row.message for row in outbox.waiting(state)] == [message]
    assert tell_damage(state, settings(), at(1)) is None


@pytest.mark.parametrize("agent_first", [True, False])
def test_a_bad_backup_is_one_alert_whoever_sees_it_first(
    state: State, monkeypatch: pytest.MonkeyPatch, agent_first: bool
) -> None:
    """The drill's unit, which has failed with it, or the agent."""
    monkeypatch.setenv("MONITOR_UNIT", "wbagent-drill.service")
    monkeypatch.setenv("MONITOR_SERVICE_RESULT", "exit-code")
    chosen = settings(drill=True)
    put(state, "drill.proven", 0)
    put(state, "drill.last", 0, result="disproven", reason="table runs is missing", hint="make another")
    if agent_first:
        told(state, chosen, 0.01)
    message = report(state, "wbagent-drill.service", chosen.alerts, at(0.02))
    assert (message is None) == agent_first
    assert told(state, chosen, 0.03) == []
    (row,) = outbox.waiting(state)
    assert (row.message.fingerprint, "table runs is missing" in row.message.what) == ("backup-drill", True)
