"""The alert about a MySQL that does not answer; what follows from that is held back while it lasts."""

from __future__ import annotations

from typing import Final

from wbagent.alerts.condition import Condition
from wbagent.alerts.network import NETWORK
from wbagent.alerts.words import say
from wbagent.config import Settings
from wbagent.monitor.rules import Severity

AWAY: Final = "database-away"
# What one look at a MySQL that hangs may take (seconds): to connect, and to answer.
_LOOK_TAKES_S: Final = 20.0


def away(settings: Settings, address: str, reason: str, hint: str) -> Condition:
    """One look: `reason` is why MySQL did not answer, empty when it did."""
    limits = settings.monitor.database
    return Condition(
        AWAY,
        float(bool(reason)),
        severity=Severity.CRITICAL,
        for_seconds=limits.for_minutes * 60,
        every=limits.every + _LOOK_TAKES_S,
        because_of=(NETWORK,),
        facts={"address": address, "reason": reason, "hint": hint or say(settings.alerts.language, f"{AWAY}.mend")},
    )
