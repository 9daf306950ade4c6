"""The alerts about a server that does not come back or is not ready: systemd gave up, or start after start fails."""

from __future__ import annotations

from typing import Final

from wbagent.alerts.condition import Condition
from wbagent.alerts.database import AWAY
from wbagent.alerts.network import NETWORK
from wbagent.alerts.store import FILES
from wbagent.alerts.words import say
from wbagent.config import Settings
from wbagent.monitor.rules import Severity
from wbagent.quantities import format_duration

KINDS: Final = frozenset({"server-failed", "server-down", "server-unready"})
_DEFAULT_BUDGET_S: Final = 600.0
# MySQL is back, and so is the server a few seconds later: its own way there, and the next probe that says so.
_READY_WITHIN_S: Final = 60.0
_CAUSES: Final = (NETWORK, AWAY, FILES)


def conditions(settings: Settings, active: str, reason: str, unready: str) -> tuple[Condition, ...]:
    """One look at wandb-local.service: `active` is its ActiveState, `reason` why it ended last.

    A unit that a person stopped is "inactive", and no alert; one that systemd will not start again is "failed", and
    told at once; one that goes from start to start is "activating" for longer than a start may take. `unready` tells of
    readiness lost for long, or is empty; of a container that ended the other two tell instead.
    """
    probes = settings.server.probes if settings.server else None
    budget = probes.startup_failures * probes.startup_period if probes else _DEFAULT_BUDGET_S
    # How it ends, when it does with this look: by a person's stop, too.
    ended = {"inactive": "stopped", "deactivating": "stopped", "activating": "starting"}.get(active, "up")
    facts = {
        "ended": say(settings.alerts.language, f"server-failed.{ended}"),
        "reason": reason or say(settings.alerts.language, "server-failed.unknown"),
        "budget": format_duration(budget),
    }
    critical = Severity.CRITICAL
    return (
        Condition("server-failed", float(active == "failed"), severity=critical, facts=facts),
        Condition(
            "server-down",
            float(active == "activating"),
            severity=critical,
            for_seconds=budget,
            every=24.0,
            because_of=_CAUSES,
            facts=facts,
        ),
        Condition(
            "server-unready",
            float(bool(unready)),
            severity=critical,
            every=24.0,
            because_of=_CAUSES,
            settles_within=_READY_WITHIN_S,
            facts={"reason": unready},
        ),
    )
