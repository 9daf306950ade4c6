"""Work that is not stored, and a gap, are told once, and once more when they are over."""

from __future__ import annotations

import pytest

from wbagent.alerts import outbox, states
from wbagent.alerts.binlog import judge_gap, judge_lag
from wbagent.config import Settings
from wbagent.moment import Moment
from wbagent.state import State

SETTINGS = Settings.model_validate({"alerts": {"to": ["json://one.example.com/"]}})


def at(seconds: float) -> Moment:
    return Moment(1_000_000.0 + seconds, seconds, "boot")


def test_lag(state: State) -> None:
    for second in range(0, 700, 10):
        judge_lag(state, SETTINGS, float(second), "the store is away", "mend it", at(second))
    assert states.firing_titles(state) == ("binary logs not stored for 5min",)
    judge_lag(state, SETTINGS, 0.0, "", "", at(710))
    told = [row.message for row in outbox.waiting(state)]
    assert [message.title for message in told] == ["binary logs not stored for 5min", "binary logs are stored again"]
    assert told[0].what == "The last 5min of work are on the database's host alone. the store is away."
    assert told[0].remedy == "mend it"
    assert states.stored(state) == ()


def test_nothing_is_claimed_of_a_database_that_cannot_be_asked(state: State) -> None:
    for second in range(0, 400, 10):
        judge_lag(state, SETTINGS, float(second), "MySQL is away", "start it", at(second), silent=True)
    (told,) = [row.message for row in outbox.waiting(state)]
    assert told.what == "The database cannot be asked: what it did in the last 5min is not stored. MySQL is away."


@pytest.mark.parametrize("asked", [False, True])
def test_gap(state: State, *, asked: bool) -> None:
    for second in range(3):
        judge_gap(state, SETTINGS, "5 transactions are gone", at(second), asked=asked)
    judge_gap(state, SETTINGS, "", at(4), asked=False)
    told = [row.message for row in outbox.waiting(state)]
    assert [message.title for message in told] == ["gap in the stored binary logs", "a backup covers the gap"]
    assert told[0].what == "5 transactions are gone."
    assert ("was started" in told[0].remedy) is asked
