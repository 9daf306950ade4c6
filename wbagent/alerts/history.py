"""What has fired and for how long, kept for a year: for `wbagent alerts history` and the report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from wbagent.state import State

KEPT_S: Final = 366 * 86400.0
_MOST_ROWS: Final = 20_000


@dataclass(frozen=True, slots=True)
class Span:
    """A firing period, in wall-clock seconds since the epoch; `ended` is None while it lasts."""

    fingerprint: str
    title: str
    began: float
    ended: float | None


def note(state: State, fingerprint: str, title: str, *, began: bool, at: float) -> None:
    """A firing period begins or ends; part of the caller's transaction."""
    if not began:
        state.connection.execute(
            "UPDATE alert_span SET ended = max(began, ?) WHERE fingerprint = ? AND ended IS NULL", (at, fingerprint)
        )
        return
    state.connection.execute(
        "INSERT INTO alert_span (fingerprint, title, began) VALUES (?, ?, ?)", (fingerprint, title, at)
    )
    # Bounded by number too, should something begin and end all day.
    state.connection.execute(
        "DELETE FROM alert_span WHERE ended < ? OR id <= (SELECT max(id) FROM alert_span) - ?",
        (at - KEPT_S, _MOST_ROWS),
    )


def spans(state: State, since: float = 0.0) -> tuple[Span, ...]:
    """The firing periods that had not ended at wall-clock time `since`, oldest first. Raises StateError."""
    rows = state.rows(
        "SELECT fingerprint, title, began, ended FROM alert_span WHERE ended IS NULL OR ended >= ? ORDER BY began, id",
        (since,),
    )
    return tuple(Span(*row) for row in rows)
