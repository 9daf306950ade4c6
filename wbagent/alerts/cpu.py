"""The CPU alert: the guide's rule about a server that is short of resources, and what is told about it."""

from __future__ import annotations

import socket
from typing import Final

from wbagent.alerts import raising
from wbagent.alerts.destination import configured
from wbagent.alerts.message import Kind, Message
from wbagent.config import Settings
from wbagent.moment import Moment
from wbagent.monitor.rules import AlertState, Rule, Severity, Transition
from wbagent.quantities import format_duration
from wbagent.state import State

FINGERPRINT: Final = "cpu"
_WHY: Final = "W&B's guide: CPU at 40 % or more for 5 minutes or more means the database server is short of resources"
_REMEDY: Final = "see what uses it; give the host more or faster processors, or move other work away"
_LOOK: Final = "systemd-cgtop --order=cpu"


def rule(settings: Settings) -> Rule:
    """The rule that [monitor.cpu] sets."""
    cpu = settings.monitor.cpu
    window = cpu.for_minutes * 60
    return Rule(
        fingerprint=FINGERPRINT,
        title=f"CPU at {cpu.above_percent:g} % or more for {format_duration(window)}",
        severity=Severity.WARNING,
        above=cpu.above_percent,
        for_seconds=window,
        longest_gap=max(window, 2.5 * cpu.sample_every),
        repeat_every=settings.alerts.repeat_every,
    )


def judge(state: State, settings: Settings, busy: float | None, now: Moment) -> Message | None:
    """Evaluate one sample (percent; None: there was none); the message put into the outbox, if any.

    With [monitor.cpu] switched off an alert that still fires is withdrawn. Raises StateError.
    """
    to = configured(settings.alerts)
    chosen = rule(settings)
    if not settings.monitor.cpu.enabled:
        ended = _message(chosen, Kind.RESOLVED, "CPU no longer watched", "[monitor.cpu] was switched off.", now)
        return ended if raising.withdraw(state, FINGERPRINT, ended, to, now) else None

    def compose(transition: Transition, before: AlertState, value: float) -> Message:
        return _compose(chosen, transition, before, value, now)

    return raising.judge(state, chosen, busy, now, compose, to)


def _compose(chosen: Rule, transition: Transition, before: AlertState, value: float, now: Moment) -> Message:
    lasted = now.since(before.since) if before.since else None
    span = format_duration(lasted) if lasted else "a moment"
    limit = f"{chosen.above:g} %"
    if transition is Transition.RESOLVED:
        what = f"The processors are {value:.0f} % busy, below {limit}; they were over it for {span}."
        return _message(chosen, Kind.RESOLVED, f"CPU below {limit} again", what, now)
    title = f"CPU {value:.0f} % busy" + (f" for {span}" if transition is Transition.FIRING else f", still, for {span}")
    what = f"The processors are {value:.0f} % busy and have been at {limit} or more for {span}."
    return _message(chosen, Kind.FIRING, title, what, now)


def _message(chosen: Rule, kind: Kind, title: str, what: str, now: Moment) -> Message:
    ended = kind is Kind.RESOLVED
    return Message(
        fingerprint=chosen.fingerprint,
        kind=kind,
        severity="info" if ended else chosen.severity.value,
        title=title,
        what=what,
        host=socket.gethostname(),
        at=now.wall,
        why="" if ended else _WHY,
        remedy="" if ended else _REMEDY,
        look="" if ended else _LOOK,
    )
