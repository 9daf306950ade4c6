"""From conditions to messages: new states and what they tell are stored as one, then go to the journal."""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from wbagent import events
from wbagent.alerts import history, outbox, silences, states
from wbagent.alerts.condition import Condition, compose, kind_of
from wbagent.alerts.destination import configured
from wbagent.alerts.message import Kind, Message, write_to_journal
from wbagent.alerts.silences import Silence
from wbagent.alerts.states import StoredAlert
from wbagent.alerts.words import say
from wbagent.config.model import AlertSettings
from wbagent.moment import Moment
from wbagent.monitor.rules import INACTIVE, AlertState, Phase, Transition, evaluate
from wbagent.state import State
from wbagent.systemd import journal


@dataclass(frozen=True, slots=True)
class _Told:
    message: Message
    message_id: str
    fields: Mapping[str, object]
    not_to: str = ""


def judge(
    state: State,
    settings: AlertSettings,
    kinds: Collection[str],
    conditions: Iterable[Condition],
    now: Moment,
) -> tuple[Message, ...]:
    """One look at everything of these `kinds`; the messages put into the outbox.

    An alert of these kinds that no condition is about any more (it was switched off, the disk is gone) is over.
    Killed at any point, either all of it is stored or nothing is, and then the next look decides anew: nobody is told
    twice or not at all. Raises StateError.
    """
    told: list[_Told] = []
    with state.transaction():
        known = {alert.fingerprint: alert for alert in states.stored(state)}
        quiet = silences.active(state, now)
        looked_at: set[str] = set()
        for condition in conditions:
            looked_at.add(condition.fingerprint)
            told += _judge_one(state, settings, condition, known, quiet, now)
            lacking = condition.lacks_data(settings.language)
            if condition.value is None or lacking.fingerprint in known:
                looked_at.add(lacking.fingerprint)
                told += _judge_one(state, settings, lacking, known, quiet, now)
        for alert in known.values():
            if kind_of(alert.fingerprint) in kinds and alert.fingerprint not in looked_at:
                told += _withdraw(state, settings, alert, now)
        for each in told:
            to = [destination for destination in configured(settings) if destination.id != each.not_to]
            outbox.enqueue(state, each.message, to, now.wall)
    for each in told:
        write_to_journal(each.message, each.message_id, **each.fields)
    return tuple(each.message for each in told)


def _judge_one(
    state: State,
    settings: AlertSettings,
    condition: Condition,
    known: dict[str, StoredAlert],
    quiet: Sequence[Silence],
    now: Moment,
) -> list[_Told]:
    stored_as = known.get(condition.fingerprint)
    before = stored_as.state if stored_as else INACTIVE
    held_by = _held_by(condition, known, quiet)
    # What followed from a cause that is over gets the time to end as well that it would have had to begin.
    over = _cause_is_over(stored_as, held_by)
    counted = INACTIVE if over else before
    # Where no time is needed to begin, only this makes an alert a pending one.
    rule = condition.rule(settings.repeat_every, settling=over or before.phase is Phase.PENDING)
    result = evaluate(rule, counted, condition.value, now, held=bool(held_by))
    after = result.state
    alert = StoredAlert(condition.fingerprint, condition.name(settings.language), condition.severity, after, held_by)
    # Also when only its name is another, as after [alerts] language was changed.
    if after != before or (stored_as and alert != stored_as):
        # Seen by the conditions that come after this one: a cause stands before what follows from it.
        known[condition.fingerprint] = alert
        states.save(state, alert)
    if after.phase is not before.phase:
        journal.send(f"{condition.fingerprint}: {before.phase} -> {after.phase}", level="debug")
    if after.fires != before.fires:
        history.note(state, condition.fingerprint, condition.name(settings.language), began=after.fires, at=now.wall)
    if result.transition is None:
        return []
    message = compose(condition, result.transition, before, now, settings.language)
    fields = {"transition": result.transition.value, **condition.journal_fields()}
    return [_Told(message, message_id_of(condition.kind, result.transition), fields, condition.not_to)]


def message_id_of(kind: str, transition: Transition) -> str:
    """What the journal's entry about it is found by."""
    if transition is Transition.RESOLVED:
        return events.ALERT_RESOLVED
    return events.ALERTS[kind] if transition is Transition.FIRING else events.ALERT_FIRING


def _held_by(condition: Condition, known: dict[str, StoredAlert], quiet: Sequence[Silence]) -> str:
    """What keeps this condition from being told: a silence, or an alert that it follows from; "" for nothing."""
    for silence in quiet:
        if silence.covers(condition.fingerprint):
            return f"silence {silence.id}"
    causes = (name for name in condition.because_of if name in known and _breaches(known[name].state))
    return next(causes, "")


def _cause_is_over(alert: StoredAlert | None, held_by: str) -> bool:
    """Whether an alert that nobody was told of is not held by another one any more; a silence that ends is no cause."""
    return bool(
        alert and alert.held_by and not alert.held_by.startswith("silence ") and not held_by and not alert.state.told
    )


def _breaches(alert: AlertState) -> bool:
    return alert.since is not None


def _withdraw(state: State, settings: AlertSettings, alert: StoredAlert, now: Moment) -> list[_Told]:
    states.forget(state, alert.fingerprint)
    if alert.state.fires:
        history.note(state, alert.fingerprint, alert.title, began=False, at=now.wall)
    if alert.state.told is None:
        return []
    facts = {"name": alert.title}
    message = Message(
        fingerprint=alert.fingerprint,
        kind=Kind.RESOLVED,
        severity="info",
        title=say(settings.language, "_.withdrawn_title", facts),
        what=say(settings.language, "_.withdrawn", facts),
        host=socket.gethostname(),
        at=now.wall,
        language=settings.language,
    )
    kind, _, about = alert.fingerprint.partition(":")
    fields = {"transition": "withdrawn", "alert_kind": kind, "about": about or None}
    return [_Told(message, events.ALERT_RESOLVED, fields)]
