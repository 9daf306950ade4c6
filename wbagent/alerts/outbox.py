"""The outbox: every message waits in the state file, once for each destination, until that destination took it.

At least once: a row goes away only after its destination said yes, so a crash in between sends it again.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final

from wbagent.alerts.destination import Destination
from wbagent.alerts.message import Kind, Message, shortened
from wbagent.errors import StateError
from wbagent.state import State

# After this time an alert is history; it has been in the journal all along.
KEPT_S: Final = 7 * 86400.0
# In a week it is some hundred times.
_TRIED_OFTEN: Final = 50
_FIRST_RETRY_S: Final = 15.0
_LONGEST_RETRY_S: Final = 15 * 60.0
_LONGEST_ERROR: Final = 300
_COLUMNS: Final = "id, destination, label, message, created_at, attempts, next_attempt_at, last_error"


@dataclass(frozen=True, slots=True)
class Waiting:
    """One message that one destination has not taken yet. Times are seconds since the epoch."""

    id: int
    destination: str
    label: str
    message: Message
    created_at: float
    attempts: int
    next_attempt_at: float
    last_error: str


def enqueue(state: State, message: Message, to: Iterable[Destination], now: float) -> int:
    """Put a message in the outbox for each destination; the number of rows written.

    What waits already becomes due at once: a new message is a reason to try. A repeat takes the place of the same
    alert's older word, so that a destination that was away for a day is not told the same thing six times.
    Part of the caller's `transaction`: a message and the state that it tells of are stored together.
    """
    written = 0
    for destination in to:
        values = {
            "destination": destination.id,
            "label": destination.label,
            "fingerprint": message.fingerprint,
            "kind": message.kind.value,
            "message": json.dumps(message.to_json(), ensure_ascii=False),
            "created_at": _take_back_older_word(state, message, destination) or now,
            "now": now,
        }
        state.connection.execute(
            "UPDATE outbox SET next_attempt_at = min(next_attempt_at, :now) WHERE destination = :destination", values
        )
        state.connection.execute(
            "INSERT INTO outbox (destination, label, fingerprint, kind, message, created_at, next_attempt_at)"
            " VALUES (:destination, :label, :fingerprint, :kind, :message, :created_at, :now)",
            values,
        )
        written += 1
    return written


def _take_back_older_word(state: State, message: Message, destination: Destination) -> float | None:
    """Delete the row that `message` repeats, if that is the alert's newest one; since when it had waited."""
    if message.kind is not Kind.FIRING:
        return None
    newest = state.connection.execute(
        "SELECT id, kind, created_at FROM outbox WHERE destination = ? AND fingerprint = ? ORDER BY id DESC LIMIT 1",
        (destination.id, message.fingerprint),
    ).fetchone()
    if newest is None or newest[1] != Kind.FIRING:
        return None
    state.connection.execute("DELETE FROM outbox WHERE id = ?", (newest[0],))
    return float(newest[2])


def waiting(state: State) -> tuple[Waiting, ...]:
    """Everything that has not been delivered, oldest first. Raises StateError."""
    return tuple(_parsed(row) for row in state.rows(f"SELECT {_COLUMNS} FROM outbox ORDER BY id"))  # noqa: S608 - constant


def due(state: State, to: Collection[str], now: float) -> tuple[Waiting, ...]:
    """What is to be tried now at the destinations with the ids `to`, oldest first.

    The messages of one alert to one destination are a thread: its oldest one decides when it is due, and a later one
    goes only after it, so that nobody is told "resolved" before "firing".
    """
    everything = waiting(state)
    # An attempt further off than any back-off: the clock was set back since.
    ready = {
        thread
        for thread, head in _heads(everything, to).items()
        if not now < head.next_attempt_at <= now + _LONGEST_RETRY_S
    }
    return tuple(row for row in everything if _thread(row) in ready)


def _thread(row: Waiting) -> tuple[str, str]:
    return row.destination, row.message.fingerprint


def _heads(everything: Iterable[Waiting], to: Collection[str]) -> dict[tuple[str, str], Waiting]:
    heads: dict[tuple[str, str], Waiting] = {}
    for row in everything:
        if row.destination in to:
            heads.setdefault(_thread(row), row)
    return heads


def delivered(state: State, row: Waiting) -> None:
    """The destination took it."""
    with state.transaction():
        state.connection.execute("DELETE FROM outbox WHERE id = ?", (row.id,))


def failed(state: State, row: Waiting, error: str, now: float, jitter: float) -> float:
    """The destination did not take it; `error` holds no secret. The time of the next attempt (since the epoch)."""
    again = now + retry_delay(row.attempts + 1, jitter)
    with state.transaction():
        state.connection.execute(
            "UPDATE outbox SET attempts = attempts + 1, next_attempt_at = ?, last_error = ? WHERE id = ?",
            (again, shortened(error, _LONGEST_ERROR), row.id),
        )
    return again


def retry_delay(attempts: int, jitter: float) -> float:
    """Seconds until the next attempt after `attempts` failed ones: doubling from 15 s up to 15 min.

    `jitter` in [0, 1) spreads it over half to all of that, so that many hosts do not come back at once.
    """
    longest = min(_LONGEST_RETRY_S, _FIRST_RETRY_S * 2.0 ** min(attempts - 1, 10))
    return longest * (0.5 + jitter / 2)


def expire(state: State, to: Collection[str], now: float) -> tuple[Waiting, ...]:
    """Give up what has waited for a week; the rows that went, for the journal.

    Of each of the destinations `to` the newest one stays: it is tried on, and that nobody took it is known. So does
    what was tried a few times only: then it was not the destination, the host was off or its clock was set.
    """
    rows = waiting(state)
    newest = {row.destination: row.id for row in rows if row.destination in to}
    old = tuple(
        row
        for row in rows
        if now - row.created_at > KEPT_S
        and (row.destination not in to or (row.attempts >= _TRIED_OFTEN and newest[row.destination] != row.id))
    )
    for row in old:
        delivered(state, row)
    return old


def forget_foreign(state: State) -> tuple[str, ...]:
    """Remove the rows that cannot be understood, as part of the caller's transaction; whom they were for."""
    gone = []
    for row in state.rows(f"SELECT {_COLUMNS} FROM outbox ORDER BY id"):  # noqa: S608 - constant
        try:
            _parsed(row)
        except StateError:
            state.connection.execute("DELETE FROM outbox WHERE id = ?", (row[0],))
            gone.append(row[2])
    return tuple(gone)


def _parsed(row: tuple[Any, ...]) -> Waiting:
    number, destination, label, text, created_at, attempts, next_attempt_at, last_error = row
    try:
        message = Message.from_json(json.loads(text))
    except (ValueError, KeyError, TypeError):
        raise StateError(
            f"message {number} in the outbox cannot be understood: it was written by another version of wbagent",
            hint="to give it up: systemctl restart wbagent; every alert that was raised: journalctl -t wbagent",
        ) from None
    return Waiting(number, destination, label, message, created_at, attempts, next_attempt_at, last_error)
