"""The alert states in the state file: what fires outlives the agent, and read-only commands can tell it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from wbagent.alerts.condition import NO_DATA
from wbagent.errors import StateError
from wbagent.moment import Moment
from wbagent.monitor.rules import INACTIVE, AlertState, Phase, Severity
from wbagent.state import State

# The samplers that need two looks for a figure make them a minute apart or less, unless set otherwise.
_FIRST_FIGURE_S: Final = 90.0


@dataclass(frozen=True, slots=True)
class StoredAlert:
    """An alert that is not inactive. `held_by`: why nobody is told ("silence 3", another alert's fingerprint)."""

    fingerprint: str
    title: str
    severity: Severity
    state: AlertState
    held_by: str = ""


def load(state: State, fingerprint: str) -> AlertState:
    """What is remembered of one alert; INACTIVE when nothing is. Raises StateError."""
    return next((found.state for found in stored(state) if found.fingerprint == fingerprint), INACTIVE)


def save(state: State, alert: StoredAlert) -> None:
    """Remember an alert, as part of the caller's transaction; an inactive one needs no row."""
    if alert.state == INACTIVE:
        forget(state, alert.fingerprint)
        return
    row = {
        "title": alert.title,
        "severity": alert.severity.value,
        "state": alert.state.to_json(),
        "held_by": alert.held_by,
    }
    state.connection.execute(
        "INSERT INTO alert (fingerprint, state) VALUES (?, ?)"
        " ON CONFLICT (fingerprint) DO UPDATE SET state = excluded.state",
        (alert.fingerprint, json.dumps(row)),
    )


def forget(state: State, fingerprint: str) -> None:
    """Remember nothing of this alert any more."""
    state.connection.execute("DELETE FROM alert WHERE fingerprint = ?", (fingerprint,))


def stored(state: State) -> tuple[StoredAlert, ...]:
    """Every alert that is not inactive. Raises StateError when a row cannot be understood."""
    found = state.rows("SELECT fingerprint, state FROM alert ORDER BY fingerprint")
    return tuple(_parsed(fingerprint, text) for fingerprint, text in found)


def forget_foreign(state: State) -> tuple[str, ...]:
    """Remove the rows that cannot be understood, as part of the caller's transaction; their fingerprints."""
    gone = []
    for fingerprint, text in state.rows("SELECT fingerprint, state FROM alert ORDER BY fingerprint"):
        try:
            _parsed(fingerprint, text)
        except StateError:
            forget(state, fingerprint)
            gone.append(fingerprint)
    return tuple(gone)


def firing_titles(alerts: Iterable[StoredAlert]) -> tuple[str, ...]:
    """What fires and is not held, in a few words each."""
    return tuple(found.title for found in alerts if found.state.fires and not found.held_by)


def silenced_titles(alerts: Iterable[StoredAlert]) -> tuple[str, ...]:
    """What fires and is told to nobody since a person silenced it; what follows from another alert is told as that."""
    return tuple(found.title for found in alerts if found.state.fires and found.held_by.startswith("silence "))


def awaits_first_figure(alert: StoredAlert, now: Moment) -> bool:
    """Whether all that is known of it is that there is no figure yet, as after a start: a rate takes two looks."""
    state = alert.state
    lacking = state.no_data_since if state.phase is Phase.INACTIVE else None
    if alert.fingerprint.startswith(f"{NO_DATA}:") and state.phase is Phase.PENDING:
        lacking = state.since
    lasted = now.since(lacking) if lacking else None
    return lasted is not None and lasted < _FIRST_FIGURE_S


def _parsed(fingerprint: str, text: str) -> StoredAlert:
    try:
        row = json.loads(text)
        alert = AlertState.from_json(row["state"])
        return StoredAlert(fingerprint, row["title"], Severity(row["severity"]), alert, row["held_by"])
    except (ValueError, KeyError, TypeError):
        raise StateError(
            f'the state of alert "{fingerprint}" in the state file cannot be understood',
            hint="it was written by another version; to begin anew: systemctl restart wbagent",
        ) from None
