"""The alerts about binary logs: work that is not stored for too long, and a gap that no restore can cross."""

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

_LOOK: Final = "systemctl status wbagent-binlog; journalctl -x -u wbagent-binlog -n 50"


def judge_lag(
    state: State, settings: Settings, lag: float, problem: str, remedy: str, now: Moment, *, silent: bool = False
) -> None:
    """One look: `lag` seconds of work are not stored, since `problem` if that is known. Raises StateError.

    `silent`: the database cannot be asked, so whether there was any work is not known. With [backup.binlog] switched
    off the caller gives no lag: the alert is over then.
    """
    limit = settings.backup.binlog.lag_alert
    title = f"binary logs not stored for {format_duration(limit)}"
    rule = _rule("binlog-lag", title, limit, Severity.CRITICAL, settings)

    def compose(transition: Transition, _before: AlertState, value: float) -> Message:
        if transition is Transition.RESOLVED:
            return _message(rule, "binary logs are stored again", "Nothing is missing in the bucket.", now)
        what = f"The last {format_duration(value)} of work are on the database's host alone."
        if silent:
            what = f"The database cannot be asked: what it did in the last {format_duration(value)} is not stored."
        return _message(
            rule,
            title,
            what + (f" {problem}." if problem else ""),
            now,
            why="they would be lost with the database; a restore could end before them at best",
            remedy=remedy or "mend what the unit's log names; it goes on by itself",
        )

    raising.judge(state, rule, lag, now, compose, configured(settings.alerts))


def judge_gap(state: State, settings: Settings, gap: str, now: Moment, *, asked: bool) -> None:
    """One look: `gap` tells what can never be stored, or is empty once a backup followed it. Raises StateError.

    `asked`: a backup was started since.
    """
    rule = _rule("binlog-gap", "gap in the stored binary logs", 1.0, Severity.WARNING, settings)

    def compose(transition: Transition, _before: AlertState, _value: float) -> Message:
        if transition is Transition.RESOLVED:
            return _message(rule, "a backup covers the gap", "From it on every moment can be restored again.", now)
        return _message(
            rule,
            rule.title,
            f"{gap[:1].upper()}{gap[1:]}.",
            now,
            why="no restore can end between the last backup before it and the next one after it",
            remedy=(
                "a new backup was started" if asked else "a new backup starts by itself once what follows is stored"
            )
            + "; see that it ends well: wbagent status",
        )

    raising.judge(state, rule, 1.0 if gap else 0.0, now, compose, configured(settings.alerts))


def _rule(fingerprint: str, title: str, above: float, severity: Severity, settings: Settings) -> Rule:
    return Rule(
        fingerprint=fingerprint,
        title=title,
        severity=severity,
        above=above,
        for_seconds=0.0,
        longest_gap=60.0,
        repeat_every=settings.alerts.repeat_every,
    )


def _message(rule: Rule, title: str, what: str, now: Moment, *, why: str = "", remedy: str = "") -> Message:
    ended = not why
    return Message(
        fingerprint=rule.fingerprint,
        kind=Kind.RESOLVED if ended else Kind.FIRING,
        severity="info" if ended else rule.severity.value,
        title=title,
        what=what,
        host=socket.gethostname(),
        at=now.wall,
        why=why,
        remedy=remedy,
        look="" if ended else _LOOK,
    )
