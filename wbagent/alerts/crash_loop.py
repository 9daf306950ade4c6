"""The alert about a server that ends again and again: one message with the reason, whatever the number of ends."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Final

from wbagent.alerts import raising, states
from wbagent.alerts.destination import configured
from wbagent.alerts.message import Kind, Message
from wbagent.alerts.throttle import Event
from wbagent.config import Settings
from wbagent.moment import Moment
from wbagent.monitor.rules import AlertState, Phase, Rule, Severity, Transition
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


def judge(
    state: State, settings: Settings, ends: Sequence[Event], now: Moment, *, up: bool, held_until: float = 0.0
) -> bool:
    """One look at the ends that nobody asked for (oldest first); whether the server is in a crash loop.

    What ended up to `held_until`, in a pause or an upgrade, begins no alert, but is no reason to call one over either.
    Raises StateError.
    """
    firing = states.load(state, FINGERPRINT).phase is Phase.FIRING
    value = level([end.at for end in ends if firing or end.at > held_until], now.wall, firing=firing, up=up)

    def compose(transition: Transition, before: AlertState, _value: float) -> Message:
        return _message(transition, before, ends, now)

    raising.judge(state, _rule(settings), float(value), now, compose, configured(settings.alerts))
    return value >= ENDS


def _rule(settings: Settings) -> Rule:
    return Rule(
        fingerprint=FINGERPRINT,
        title="W&B server is in a crash loop",
        severity=Severity.CRITICAL,
        above=float(ENDS),
        for_seconds=0.0,
        longest_gap=WINDOW_S,
        repeat_every=settings.alerts.repeat_every,
    )


def _message(transition: Transition, before: AlertState, ends: Sequence[Event], now: Moment) -> Message:
    ended = transition is Transition.RESOLVED
    since = before.since.wall if before.since else now.wall
    count = sum(1 for end in ends if end.at > min(since, now.wall) - WINDOW_S)
    span = format_duration(max(1.0, now.wall - (ends[-count].at if count else since)))
    last = ends[-1].what if ends else "nothing is known of the ends"
    return Message(
        fingerprint=FINGERPRINT,
        kind=Kind.RESOLVED if ended else Kind.FIRING,
        severity="info" if ended else Severity.CRITICAL.value,
        title="W&B server is out of its crash loop" if ended else f"W&B server ended {count} times in {span}",
        what=f"It has not ended by itself for {format_duration(WINDOW_S)}."
        if ended
        else f"systemd starts it again each time, at intervals of up to a minute; the last end: {last}",
        host=socket.gethostname(),
        at=now.wall,
        why="" if ended else "a server that keeps ending serves nobody; runs keep their data and send it later",
        remedy="" if ended else "read why it ended; memory, database, bucket and licence are the usual reasons",
        look="" if ended else "wbagent server history; journalctl -x -u wandb-local -n 50",
    )
