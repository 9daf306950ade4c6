"""The alerts about binary logs: work that is not stored for too long, and a gap that no restore can cross."""

from __future__ import annotations

from typing import Final

from wbagent.alerts.condition import Condition
from wbagent.alerts.database import AWAY
from wbagent.alerts.network import NETWORK
from wbagent.alerts.store import BACKUPS
from wbagent.alerts.words import say
from wbagent.config import Settings
from wbagent.monitor.rules import Severity
from wbagent.quantities import format_duration

KINDS: Final = frozenset({"binlog-lag", "binlog-gap"})


def lag(settings: Settings, seconds: float, problem: str, hint: str, *, silent: bool = False) -> Condition:
    """So many seconds of work are not stored, since `problem` if that is known; `hint` says what to do about it.

    `silent`: the database cannot be asked, so whether there was any work is not known.
    """
    limit, language = settings.backup.binlog.lag_alert, settings.alerts.language
    return Condition(
        "binlog-lag",
        seconds,
        limit,
        measured_in="seconds",
        severity=Severity.CRITICAL,
        because_of=(AWAY, NETWORK, BACKUPS),
        facts={
            "limit": format_duration(limit),
            "lost": say(language, f"binlog-lag.{'unknown' if silent else 'lost'}", {"lag": format_duration(seconds)}),
            "problem": f"{problem}." if problem else "",
            "hint": hint or say(language, "binlog-lag.mend"),
        },
    )


def gap(settings: Settings, what: str, *, asked: bool) -> Condition:
    """`what` tells what can never be stored, or is empty once a backup followed it; `asked`: one was started since."""
    backup = say(settings.alerts.language, f"binlog-gap.{'started' if asked else 'starts'}")
    return Condition("binlog-gap", float(bool(what)), facts={"gap": f"{what[:1].upper()}{what[1:]}", "backup": backup})
