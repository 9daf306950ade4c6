"""A destination that takes nothing for long is itself an alert, told to the other destinations and the journal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from wbagent.alerts import judging, outbox
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
    """After a round of delivery: raise or end the alert of each destination. Raises StateError."""
    waiting = outbox.waiting(state)
    judging.judge(state, settings, {_KIND}, [_condition(to, waiting, now) for to in configured(settings)], now)


def _condition(to: Destination, waiting: Sequence[Waiting], now: Moment) -> Condition:
    refused = [row for row in waiting if row.destination == to.id and row.attempts]
    oldest = max((now.wall - row.created_at for row in refused), default=0.0)
    error = refused[0].last_error if refused else ""
    facts = {"label": to.label, "waited": format_duration(oldest), "error": error}
    return Condition(
        _KIND,
        oldest,
        LIMIT_S,
        measured_in="seconds",
        severity=Severity.CRITICAL,
        about=to.id,
        facts=facts,
        not_to=to.id,
    )
