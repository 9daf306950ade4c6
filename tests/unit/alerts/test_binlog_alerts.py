"""Work that is not stored, and a gap, are told once, and once more when they are over."""

from __future__ import annotations

import pytest

from wbagent.alerts import binlog, judging, outbox, states
from wbagent.alerts.condition import Condition
from wbagent.config import Settings
from wbagent.moment import Moment
from wbagent.state import State

SETTINGS = Settings.model_validate({"alerts": {"to": ["json://one.example.com/"]}})


def at(seconds: float) -> Moment:
    return Moment(1_000_000.0 + seconds, seconds, "boot")


def look(state: State, found: Condition, second: float) -> None:
    judging.judge(state, SETTINGS.alerts, (), [found], at(second))


def test_lag(state: State) -> None:
    for second in range(0, 700, 10):
        look(state, binlog.lag(SETTINGS, float(second), "the store is away", "mend it"), second)
    assert states.firing_titles(states.stored(state)) == ("binary logs not stored for 5min",)
    look(state, binlog.lag(SETTINGS, 0.0, "", ""), 710)
    told = [row.message for row in outbox.waiting(state)]
    assert [message.title for message in told] == ["binary logs not stored for 5min", "binary logs are stored again"]
    assert told[0].what == "The last 5min of work are on the database's host alone. the store is away."
    assert told[0].remedy == "mend it"
    assert states.stored(state) == ()


def test_nothing_is_claimed_of_a_database_that_cannot_be_asked(state: State) -> None:
    for second in range(0, 400, 10):
        look(state, binlog.lag(SETTINGS, float(second), "MySQL is away", "start it", silent=True), second)
    (told,) = [row.message for row in outbox.waiting(state)]
    assert told.what == "The database cannot be asked: what it did in the last 5min is not stored. MySQL is away."


@pytest.mark.parametrize("asked", [False, True])
def test_gap(state: State, *, asked: bool) -> None:
    for second in range(3):
        look(state, binlog.gap(SETTINGS, "5 transactions are gone", asked=asked), second)
    look(state, binlog.gap(SETTINGS, "", asked=False), 4)
    told = [row.message for row in outbox.waiting(state)]
    assert [message.title for message in told] == ["gap in the stored binary logs", "a backup covers the gap"]
    assert told[0].what == "5 transactions are gone."
    assert ("was started" in told[0].remedy) is asked
