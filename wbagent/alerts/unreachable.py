"""A destination that takes nothing for long is itself an alert, told to the other destinations and the journal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from wbagent.alerts import judging, outbox, states
from wbagent.alerts.condition import Condition
from wbagent.alerts.destination import Destination, configured
from wbagent.alerts.outbox import Waiting
from wbagent.config.model import AlertSettings
from wbagent.moment import Moment
from wbagent.monitor.rules import Severity
from wbagent.quantities import format_duration
from wbagent.state import State

# Shorter outages of a mail server or a chat are nobody's business: messages wait and arrive.
LIMIT_S: Final = 3600.0
_KIND: Final = "delivery"


def judge(state: State, settings: AlertSettings, now: Moment) -> None:
    """After a round of delivery, or a change of [alerts] to: raise or end the alert of each destination.

    Raises StateError.
    """
    waiting = outbox.waiting(state)
    found = [_condition(state, to, waiting, now) for to in configured(settings)]
    judging.judge(state, settings, {_KIND}, found, now)


def _condition(state: State, to: Destination, waiting: Sequence[Waiting], now: Moment) -> Condition:
    refused = [row for row in waiting if row.destination == to.id and row.attempts]
    oldest = max((now.wall - row.created_at for row in refused), default=0.0)
    error = refused[0].last_error if refused else ""
    found = Condition(
        _KIND,
        oldest,
        LIMIT_S,
        measured_in="seconds",
        severity=Severity.CRITICAL,
        about=to.id,
        facts={"label": to.label, "waited": format_duration(oldest), "error": error},
        not_to=to.id,
    )
    if refused and oldest < LIMIT_S and states.load(state, found.fingerprint).fires:
        # What had waited for so long was given up, not taken: it is over when something is.
        return replace(found, value=LIMIT_S)
    return found
