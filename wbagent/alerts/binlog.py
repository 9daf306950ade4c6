"""The alerts about binary logs: work that is not stored for too long, and a gap that no restore can cross."""

from __future__ import annotations

from typing import Final

from wbagent.alerts.condition import Condition
from wbagent.alerts.database import AWAY
from wbagent.alerts.words import say
from wbagent.config import Settings
from wbagent.monitor.rules import Severity
from wbagent.quantities import format_duration

KINDS: Final = frozenset({"binlog-lag", "binlog-gap"})


def lag(settings: Settings, seconds: float, problem: str, hint: str) -> Condition:
    """So many seconds of work are not stored, since `problem` if that is known; `hint` says what to do about it."""
    limit = settings.backup.binlog.lag_alert
    return Condition(
        "binlog-lag",
        seconds,
        limit,
        severity=Severity.CRITICAL,
        because_of=(AWAY,),
        facts={
            "limit": format_duration(limit),
            "lag": format_duration(seconds),
            "problem": f"{problem}." if problem else "",
            "hint": hint or say(settings.alerts.language, "binlog-lag.mend"),
        },
    )


def gap(what: str) -> Condition:
    """`what` tells what can never be stored, or is empty once a backup followed it."""
    return Condition("binlog-gap", float(bool(what)), facts={"gap": f"{what[:1].upper()}{what[1:]}"})
