"""A destination that takes nothing for long is itself an alert, told to the other destinations and the journal."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Final

from wbagent.alerts import outbox, raising, states
from wbagent.alerts.destination import Destination
from wbagent.alerts.message import Kind, Message
from wbagent.moment import Moment
from wbagent.monitor.rules import AlertState, Rule, Severity, Transition
from wbagent.quantities import format_duration
from wbagent.state import State

# Shorter outages of a mail server or a chat are nobody's business: messages wait and arrive.
LIMIT_S: Final = 3600.0
_PREFIX: Final = "delivery:"


def judge(state: State, to: Sequence[Destination], repeat_every: float, now: Moment) -> None:
    """After a round of delivery: raise or end the alert of each destination. Raises StateError."""
    _forget_removed(state, to)
    for destination in to:
        refused = [row for row in outbox.waiting(state) if row.destination == destination.id and row.attempts]
        oldest = max((now.wall - row.created_at for row in refused), default=0.0)
        others = [other for other in to if other is not destination]
        error = refused[0].last_error if refused else ""
        raising.judge(state, _rule(destination, repeat_every), oldest, now, _Text(destination, error, now), others)


def _rule(destination: Destination, repeat_every: float) -> Rule:
    return Rule(
        fingerprint=_PREFIX + destination.id,
        title=f"alerts do not reach {destination.label}",
        severity=Severity.CRITICAL,
        above=LIMIT_S,
        for_seconds=0.0,
        longest_gap=0.0,
        repeat_every=repeat_every,
    )


def _forget_removed(state: State, to: Sequence[Destination]) -> None:
    named = {_PREFIX + destination.id for destination in to}
    for found in states.stored(state):
        if found.fingerprint.startswith(_PREFIX) and found.fingerprint not in named:
            with state.transaction():
                states.forget(state, found.fingerprint)


class _Text:
    """What is told about one destination."""

    def __init__(self, destination: Destination, error: str, now: Moment) -> None:
        self._destination = destination
        self._error = error
        self._now = now

    def __call__(self, transition: Transition, _before: AlertState, oldest: float) -> Message:
        ended = transition is Transition.RESOLVED
        label = self._destination.label
        what = f"A message to {label} has waited for {format_duration(oldest)}: {self._error}"
        return Message(
            fingerprint=_PREFIX + self._destination.id,
            kind=Kind.RESOLVED if ended else Kind.FIRING,
            severity="info" if ended else "critical",
            title=f"alerts reach {label} again" if ended else f"alerts do not reach {label}",
            what="What had waited was delivered." if ended else what,
            host=socket.gethostname(),
            at=self._now.wall,
            why="" if ended else "the people behind it do not hear of anything that goes wrong on this host",
            remedy="" if ended else "mend that address in [alerts] to, then: systemctl reload wbagent",
            look="" if ended else "wbagent alerts list; wbagent alerts test",
        )
