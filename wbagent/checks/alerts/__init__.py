"""Checks of the area "alerts": whether a person would hear of it when something is wrong on this host."""

from __future__ import annotations

from collections.abc import Sequence
from os.path import exists

from wbagent.alerts.destination import configured
from wbagent.checks.alerts import agent, destinations, waiting
from wbagent.checks.check import Check
from wbagent.checks.once import Once
from wbagent.config import Settings
from wbagent.state_directory import state_directory

_TOLD = "an alert that nobody reads is none"


def checks(settings: Settings) -> Sequence[Check]:
    """Those that apply to this configuration."""
    # Before the agent has started first there is none, and that it does not run is told by the check of it.
    there = exists(state_directory() / "state.db")  # noqa: PTH110 - Path.exists() raises where this user may not look
    told_by = "" if there else "systemctl enable --now wbagent"
    state = Once(waiting.read, "the state file cannot be read", told_by)
    alerts = settings.alerts
    found = [
        Check("agent", agent.unit, "without the agent nothing is watched and no backup is made", "Monitoring"),
        Check("configuration", state.then(waiting.judge_refused), "the agent goes on with the old one"),
        Check("destinations", lambda _: destinations.judge_any(configured(alerts)), _TOLD, "Monitoring"),
    ]
    found += [
        Check(f"destination {number}", destinations.reach(each), _TOLD, time_limit_s=30.0)
        for number, each in enumerate(configured(alerts), start=1)
    ]
    return [
        *found,
        Check(
            "outbox",
            state.then(lambda known: waiting.judge_outbox(known, {each.id for each in configured(alerts)})),
            "what was not delivered nobody knows",
        ),
        Check("firing", state.then(waiting.judge_firing), "each asks for a person"),
        Check("silences", state.then(waiting.judge_silences), "what is silenced is told to nobody"),
        Check("dead man's switch", destinations.pings(alerts), "a host that is gone sends no alert"),
        Check("units", agent.units, "what fails without a word is found when it is needed"),
        Check("Prometheus", agent.metrics(settings.metrics), "alert rules and boards elsewhere see nothing"),
    ]
