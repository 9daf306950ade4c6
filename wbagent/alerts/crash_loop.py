"""The alert about a server that ends again and again: one message with the reason, whatever the number of ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from wbagent.alerts import judging, states
from wbagent.alerts.condition import Condition
from wbagent.alerts.throttle import Event
from wbagent.alerts.words import say
from wbagent.config.model import AlertSettings
from wbagent.moment import Moment
from wbagent.monitor.rules import Severity
from wbagent.quantities import format_duration
from wbagent.state import State

FINGERPRINT: Final = "server-crash-loop"
ENDS: Final = 5
WINDOW_S: Final = 600.0


def level(ends: Sequence[float], now: float, *, firing: bool, up: bool) -> int:
    """How far the server is on its way into a crash loop: `ENDS` or more is one. Times in wall-clock seconds.

    Invariant: an alert begins only with `ENDS` ends within `WINDOW_S`, and is over only when the server was up, or was
    stopped by a person (`up`), and has not ended by itself for `WINDOW_S`: a loop whose back-off has grown to a minute,
    or that is between two starts, is still one. Ends later than `now` (the clock was set back) count as just now.
    """
    recent = sum(1 for at in ends if now - at < WINDOW_S)
    return ENDS if firing and (recent or not up) else recent


def condition(language: str, ends: Sequence[Event], value: int, began: float | None, now: float) -> Condition:
    """One look: `value` is the `level`, `began` when the alert that fires began (wall clock)."""
    since = now if began is None else began
    count = sum(1 for end in ends if end.at > min(since, now) - WINDOW_S)
    return Condition(
        FINGERPRINT,
        float(value),
        float(ENDS),
        measured_in="count",
        severity=Severity.CRITICAL,
        facts={
            "count": count,
            "within": format_duration(max(1.0, now - (ends[-count].at if count else since))),
            "window": format_duration(WINDOW_S),
            "reason": ends[-1].what if ends else say(language, f"{FINGERPRINT}.unknown"),
        },
    )


def judge(
    state: State, settings: AlertSettings, ends: Sequence[Event], now: Moment, *, up: bool, held_until: float = 0.0
) -> bool:
    """One look at the ends that nobody asked for (oldest first); whether the server is in a crash loop.

    What ended up to `held_until`, in a pause or an upgrade, begins no alert, but is no reason to call one over either.
    Raises StateError.
    """
    alert = states.load(state, FINGERPRINT)
    counted = [end.at for end in ends if alert.fires or end.at > held_until]
    value = level(counted, now.wall, firing=alert.fires, up=up)
    began = alert.since.wall if alert.since else None
    judging.judge(state, settings, {FINGERPRINT}, [condition(settings.language, ends, value, began, now.wall)], now)
    return value >= ENDS
