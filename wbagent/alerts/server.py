"""The alerts about a server that does not come back: systemd has given up, or one start after the other fails."""

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

_WHY: Final = "nobody can use W&B on this host; runs keep their data locally and send it when the server is back"
_LOOK: Final = "wbagent status; journalctl -x -u wandb-local -n 50"
_DEFAULT_BUDGET_S: Final = 600.0


def judge(state: State, settings: Settings, active: str, reason: str, now: Moment) -> None:
    """One look at wandb-local.service: `active` is its ActiveState, `reason` why it ended last.

    A unit that a person stopped is "inactive", and no alert; one that systemd will not start again is "failed", and
    told at once; one that goes from start to start is "activating" for longer than a start may take. Raises StateError.
    """
    probes = settings.server.probes if settings.server else None
    budget = probes.startup_failures * probes.startup_period if probes else _DEFAULT_BUDGET_S
    failed = _rule("server-failed", "W&B server is down and is not started again", 0.0, settings)
    starting = _rule("server-down", f"W&B server has not served for {format_duration(budget)}", budget, settings)
    to = configured(settings.alerts)
    for rule, down, remedy in (
        (failed, active == "failed", "mend what it says, then: systemctl restart wandb-local"),
        (starting, active == "activating", "mend what it says; systemd keeps trying"),
    ):

        def compose(
            transition: Transition, _before: AlertState, _value: float, rule: Rule = rule, remedy: str = remedy
        ) -> Message:
            return _message(rule, transition, reason, remedy, now)

        raising.judge(state, rule, 1.0 if down else 0.0, now, compose, to)


def judge_readiness(state: State, settings: Settings, lost: str, now: Moment) -> None:
    """One look at what the runner recorded: `lost` tells of readiness lost for long, or is empty. Raises StateError.

    The server's own alerts tell of a container that ended instead, so this one is over then.
    """
    title = "W&B server is alive but not ready"
    rule = _rule("server-unready", title, 0.0, settings)

    def compose(transition: Transition, _before: AlertState, _value: float) -> Message:
        ended = transition is Transition.RESOLVED
        return Message(
            fingerprint=rule.fingerprint,
            kind=Kind.RESOLVED if ended else Kind.FIRING,
            severity="info" if ended else rule.severity.value,
            title="W&B server is ready again, or has ended" if ended else title,
            what=lost or "/ready answers again, or this container is gone.",
            host=socket.gethostname(),
            at=now.wall,
            why="" if ended else "users see errors; it is not restarted for this, since that would not mend it",
            remedy="" if ended else "see whether its database and its bucket answer: wbagent status",
            look="" if ended else "wbagent server history 1; journalctl -u wandb-local -n 50",
        )

    raising.judge(state, rule, 1.0 if lost else 0.0, now, compose, configured(settings.alerts))


def _rule(fingerprint: str, title: str, for_seconds: float, settings: Settings) -> Rule:
    return Rule(
        fingerprint=fingerprint,
        title=title,
        severity=Severity.CRITICAL,
        above=1.0,
        for_seconds=for_seconds,
        longest_gap=max(for_seconds, 60.0),
        repeat_every=settings.alerts.repeat_every,
    )


def _message(rule: Rule, transition: Transition, reason: str, remedy: str, now: Moment) -> Message:
    ended = transition is Transition.RESOLVED
    return Message(
        fingerprint=rule.fingerprint,
        kind=Kind.RESOLVED if ended else Kind.FIRING,
        severity="info" if ended else rule.severity.value,
        title="W&B server is up again, or was stopped" if ended else rule.title,
        what="wandb-local.service is no longer failing." if ended else f"The last try: {reason or 'nothing is known'}",
        host=socket.gethostname(),
        at=now.wall,
        why="" if ended else _WHY,
        remedy="" if ended else remedy,
        look="" if ended else _LOOK,
    )
