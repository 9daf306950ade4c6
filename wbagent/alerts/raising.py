"""From a sample to a message: the alert's new state and what it tells are stored as one, then go to the journal."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wbagent.alerts import outbox, states
from wbagent.alerts.destination import Destination
from wbagent.alerts.message import Kind, Message, write_to_journal
from wbagent.moment import Moment
from wbagent.monitor.rules import AlertState, Rule, Sample, Transition, evaluate
from wbagent.state import State

# (transition, state before, value of the sample) -> what a person is told
Compose = Callable[[Transition, AlertState, float], Message]


def judge(
    state: State,
    rule: Rule,
    value: float | None,
    now: Moment,
    compose: Compose,
    to: Sequence[Destination],
    *,
    event: str | None = None,
) -> Message | None:
    """Evaluate one sample (None: there was none); the message that was put into the outbox, if any.

    `event` is the MESSAGE_ID under which the journal has the alert's beginning, where the catalog says more of it.

    Killed at any point, either all of it is stored or nothing is, and then the next sample decides anew: nobody is
    told twice or not at all. Raises StateError.
    """
    message: Message | None = None
    with state.transaction():
        before = states.load(state, rule.fingerprint)
        evaluation = evaluate(rule, before, None if value is None else Sample(value), now)
        if evaluation.state != before:
            states.save(state, rule, evaluation.state)
        if evaluation.transition is not None and value is not None:
            message = compose(evaluation.transition, before, value)
            outbox.enqueue(state, message, to, now.wall)
    if message is not None:
        write_to_journal(message, event if message.kind is Kind.FIRING else None)
    return message


def withdraw(state: State, fingerprint: str, message: Message, to: Sequence[Destination], now: Moment) -> bool:
    """End the alert of a rule that is no longer watched; `message` is told if it was firing (then True)."""
    with state.transaction():
        firing = states.load(state, fingerprint).told is not None
        states.forget(state, fingerprint)
        if firing:
            outbox.enqueue(state, message, to, now.wall)
    if firing:
        write_to_journal(message)
    return firing
