"""The alert about a MySQL that does not answer; what follows from that is held back while it lasts."""

from __future__ import annotations

from typing import Final

from wbagent.alerts.condition import Condition
from wbagent.alerts.words import say
from wbagent.monitor.rules import Severity

AWAY: Final = "database-away"
# A restart of MySQL takes less.
_FOR_S: Final = 60.0


def away(language: str, address: str, reason: str, hint: str, every: float) -> Condition:
    """One look, every so many seconds: `reason` is why MySQL did not answer, empty when it did."""
    return Condition(
        AWAY,
        float(bool(reason)),
        severity=Severity.CRITICAL,
        for_seconds=_FOR_S,
        every=every,
        facts={"address": address, "reason": reason, "hint": hint or say(language, f"{AWAY}.mend")},
    )
