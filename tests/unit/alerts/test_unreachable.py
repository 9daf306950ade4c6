"""The alert about a destination: it lasts until that takes something, or nobody wants it any more."""

from __future__ import annotations

import pytest

from tests.unit.alerts.test_message import MESSAGE
from wbagent.agent.duties import Duties
from wbagent.alerts import outbox, states, unreachable
from wbagent.alerts.destination import configured
from wbagent.config import Settings
from wbagent.moment import Moment
from wbagent.state import State

SETTINGS = Settings.model_validate({"alerts": {"to": ["json://dead.example.com/", "json://well.example.com/"]}})
DEAD, WELL = configured(SETTINGS.alerts)
FINGERPRINT = f"delivery:{DEAD.id}"


def at(seconds: float) -> Moment:
    return Moment(1_000_000.0 + seconds, seconds, "boot")


def refuse(state: State, seconds: float) -> None:
    """A new message, which only the one takes; then what the deliverer does."""
    with state.transaction():
        outbox.enqueue(state, MESSAGE, (DEAD,), at(seconds).wall)
    look(state, seconds)


def look(state: State, seconds: float) -> None:
    outbox.expire(state, [DEAD.id, WELL.id], at(seconds).wall)
    for row in outbox.waiting(state):
        if row.destination == DEAD.id:
            outbox.failed(state, row, "refused", at(seconds).wall, 0.0)
    unreachable.judge(state, SETTINGS.alerts, at(seconds))


def told(state: State) -> list[str]:
    return [row.message.title for row in outbox.waiting(state) if row.destination == WELL.id]


@pytest.mark.parametrize("every", [1e9, 6000.0, 86400.0])
def test_it_lasts_longer_than_messages_are_kept(state: State, every: float) -> None:
    """However often there is a new message: what nobody took was given up, which is not taken."""
    refuse(state, 0.0)
    seconds = 0.0
    while seconds < 3 * outbox.KEPT_S:
        seconds += 3600.0
        if seconds % every < 3600.0:
            refuse(state, seconds)
        look(state, seconds)
        assert states.load(state, FINGERPRINT).fires
    assert told(state) == ["still: alerts do not reach json://dead.example.com"]
    for row in outbox.waiting(state):
        outbox.delivered(state, row)
    unreachable.judge(state, SETTINGS.alerts, at(seconds + 60))
    assert told(state) == ["alerts reach json://dead.example.com again"]


def test_it_ends_when_nobody_wants_the_destination_any_more(state: State) -> None:
    refuse(state, 0.0)
    look(state, 3600.0)
    assert states.load(state, FINGERPRINT).fires
    mended = Settings.model_validate({"alerts": {"to": ["json://well.example.com/"]}})
    duties = Duties(mended, state)
    assert metric(duties, "wbagent_outbox_messages") == 1.0, "the word about the other one"
    duties.note_configuration("", at(3700.0).wall)
    assert states.stored(state) == ()
    assert told(state)[-1] == "no longer watched: alerts do not reach json://dead.example.com"


def metric(duties: Duties, name: str) -> float:
    page, _ = duties.prometheus.page("")
    (line,) = (line for line in page.decode().splitlines() if line.startswith(f"{name} "))
    return float(line.split()[1])
