"""Tells of restarts of the server that nobody asked for: the first at once, a burst of them as one summary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from wbagent import events
from wbagent.alerts import outbox
from wbagent.alerts.destination import configured
from wbagent.alerts.message import Message, event, write_to_journal
from wbagent.alerts.throttle import Burst, Decision, Event, decide
from wbagent.alerts.words import say
from wbagent.config import Settings
from wbagent.moment import Moment
from wbagent.quantities import format_duration
from wbagent.state import State

FACT: Final = "alerts.restarts"
_FINGERPRINT: Final = "server-restarted"


def tell_restarts(
    state: State, settings: Settings, ends: Sequence[Event], now: Moment, *, held: bool = False
) -> Message | None:
    """Look at the ends of the server that nobody asked for (oldest first); the message put into the outbox, if any.

    `held`: during a pause they count as told, and nobody is. What has been told is stored together with the message.
    Raises StateError.
    """
    message: Message | None = None
    with state.transaction():
        known = state.get(FACT)
        burst = Burst.from_json(known.value) if known else None
        decision = Decision(_seen(burst, ends)) if held else decide(burst, ends, now)
        if decision.burst != burst:
            state.put(FACT, decision.burst.to_json(), now.wall)
        if decision.tell:
            message = _compose(decision.tell, now, settings.alerts.language)
            outbox.enqueue(state, message, configured(settings.alerts), now.wall)
    if message is not None:
        write_to_journal(message, events.SERVER_RESTARTED, alert_kind=_FINGERPRINT)
    return message


def _seen(burst: Burst | None, ends: Sequence[Event]) -> Burst:
    return replace(burst or Burst(), told_key=ends[-1].key, told_at=ends[-1].at) if ends else burst or Burst()


def _compose(ends: tuple[Event, ...], now: Moment, language: str) -> Message:
    several = len(ends) > 1
    facts = {
        "count": len(ends),
        "within": format_duration(max(1.0, now.wall - ends[0].at)),
        "reason": ends[-1].what,
    }
    return event(
        _FINGERPRINT,
        facts,
        now.wall,
        language,
        severity="critical" if several else "warning",
        title=say(language, f"{_FINGERPRINT}.title", facts) if several else "",
        what=say(language, f"{_FINGERPRINT}.what_several", facts) if several else "",
    )
