"""The alert states in the state file: what fires outlives the agent, and read-only commands can tell it."""

from __future__ import annotations

import json
from dataclasses import dataclass

from wbagent.errors import StateError
from wbagent.monitor.rules import INACTIVE, AlertState, Phase, Rule, Severity
from wbagent.state import State


@dataclass(frozen=True, slots=True)
class StoredAlert:
    """An alert that is pending or firing, with what its rule is called."""

    fingerprint: str
    title: str
    severity: Severity
    state: AlertState


def load(state: State, fingerprint: str) -> AlertState:
    """What is remembered of one alert; INACTIVE when nothing is. Raises StateError."""
    return next((found.state for found in stored(state) if found.fingerprint == fingerprint), INACTIVE)


def save(state: State, rule: Rule, alert: AlertState) -> None:
    """Remember the state of a rule's alert, as part of the caller's transaction; an inactive one needs no row."""
    if alert == INACTIVE:
        forget(state, rule.fingerprint)
        return
    row = {"title": rule.title, "severity": rule.severity.value, "state": alert.to_json()}
    state.connection.execute(
        "INSERT INTO alert (fingerprint, state) VALUES (?, ?)"
        " ON CONFLICT (fingerprint) DO UPDATE SET state = excluded.state",
        (rule.fingerprint, json.dumps(row)),
    )


def forget(state: State, fingerprint: str) -> None:
    """Remember nothing of this alert any more."""
    state.connection.execute("DELETE FROM alert WHERE fingerprint = ?", (fingerprint,))


def stored(state: State) -> tuple[StoredAlert, ...]:
    """Every alert that is pending or firing. Raises StateError when a row cannot be understood."""
    found = state.rows("SELECT fingerprint, state FROM alert ORDER BY fingerprint")
    return tuple(_parsed(fingerprint, text) for fingerprint, text in found)


def firing_titles(state: State) -> tuple[str, ...]:
    """What fires, in a few words each."""
    return tuple(found.title for found in stored(state) if found.state.phase is Phase.FIRING)


def _parsed(fingerprint: str, text: str) -> StoredAlert:
    try:
        row = json.loads(text)
        return StoredAlert(fingerprint, row["title"], Severity(row["severity"]), AlertState.from_json(row["state"]))
    except (ValueError, KeyError, TypeError):
        raise StateError(
            f'the state of alert "{fingerprint}" in the state file cannot be understood',
            hint="it was written by another version; systemctl restart wbagent writes it anew",
        ) from None
