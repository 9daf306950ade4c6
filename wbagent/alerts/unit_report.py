"""Tells a person that a unit failed, by the outbox, or past it when the state file itself is what is broken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from wbagent import events
from wbagent.alerts import courier, outbox, states
from wbagent.alerts.backup import tell_disproven
from wbagent.alerts.courier import Answer, Parcel
from wbagent.alerts.database import AWAY
from wbagent.alerts.destination import Destination, configured
from wbagent.alerts.message import Message, write_to_journal
from wbagent.alerts.network import NETWORK
from wbagent.alerts.store import BACKUPS
from wbagent.alerts.throttle import Burst, Event, decide
from wbagent.alerts.unit_facts import how_it_ended, last_words, own_words
from wbagent.alerts.unit_failure import compose
from wbagent.alerts.words import say
from wbagent.config.model import AlertSettings
from wbagent.moment import Moment
from wbagent.quantities import format_duration
from wbagent.state import State
from wbagent.systemd.unit_names import BACKUP_UNIT, BINLOG_UNIT, DRILL_UNIT, UPGRADE_UNIT

# A person waits for each of these, or is to: none fails in a loop by itself.
_EACH_IS_TOLD: Final = frozenset({BACKUP_UNIT, DRILL_UNIT, UPGRADE_UNIT})
# Whose failure follows from an alert that fires: that one has been told, and says what to do.
_FOLLOWS_FROM: Final = {BACKUP_UNIT: (NETWORK, AWAY, BACKUPS), BINLOG_UNIT: (NETWORK, AWAY, BACKUPS)}
# Failures of one unit that are remembered for the summary of a burst.
_REMEMBERED: Final = 100


def report(state: State | None, unit: str, settings: AlertSettings, now: Moment) -> Message | None:
    """Compose the message about `unit`, put it into the outbox and write it to the journal.

    None when it is only counted: a unit that fails in a loop is told at once, then in summaries (see throttle). Each
    failed backup or upgrade is told, and each failure after which systemd does not start the unit again: no later one
    would bring the summary. That a drill found a bad backup is an alert of its own, which lasts: None when it
    is told already. Without a state file (None) it goes to the journal alone. Raises StateError.
    """
    own = own_words(unit, state, now.wall)
    if state is not None and unit == DRILL_UNIT and own.get("result") == "disproven":
        return tell_disproven(state, settings, own, now)
    ended = how_it_ended(unit)
    reason, hint = str(own.get("reason", "")), str(own.get("hint", ""))
    if not reason:
        reason, hint = last_words(unit, ended)
    message = compose(unit, ended, reason, hint, now.wall, settings.language)
    event = Event(ended.invocation or f"{now.wall:.6f}", now.wall, message.what)
    if state is None:
        write_to_journal(message, events.UNIT_FAILED, alert_kind="unit-failed", about=unit)
        return message
    with state.transaction():
        each = unit in _EACH_IS_TOLD or ended.for_good
        failures = (event,) if each else _to_tell(state, unit, event, now)
        if failures and not _known_already(state, unit):
            message = _summary(message, failures, now)
            outbox.enqueue(state, message, configured(settings), now.wall)
    if not failures:
        return None
    write_to_journal(message, events.UNIT_FAILED, alert_kind="unit-failed", about=unit)
    return message


def send_past_outbox(message: Message, to: Sequence[Destination]) -> tuple[Answer, ...]:
    """One attempt at every destination, with nothing kept: for when the state file cannot be used."""
    return tuple(courier.carry([Parcel(destination, (message,)) for destination in to]))


def _known_already(state: State, unit: str) -> bool:
    return any(states.load(state, cause).fires for cause in _FOLLOWS_FROM.get(unit, ()))


def _to_tell(state: State, unit: str, event: Event, now: Moment) -> tuple[Event, ...]:
    """The failures to tell now, this one being noted; part of a transaction."""
    key = f"alerts.unit.{unit}"
    known = state.get(key)
    value: dict[str, Any] = known.value if known else {"burst": None, "events": []}
    history = [Event(*row) for row in value["events"]]
    if all(event.key != other.key for other in history):
        history = [*history, event][-_REMEMBERED:]
    decision = decide(Burst.from_json(value["burst"]) if value["burst"] else None, history, now)
    rows = [[each.key, each.at, each.what] for each in history]
    state.put(key, {"burst": decision.burst.to_json(), "events": rows}, now.wall)
    return decision.tell


def _summary(message: Message, failures: tuple[Event, ...], now: Moment) -> Message:
    if len(failures) == 1:
        return message
    within = format_duration(max(1.0, now.wall - failures[0].at))
    facts = {"title": message.title, "count": len(failures), "within": within}
    return replace(message, title=say(message.language, "unit-failed.times", facts))
