"""Delivers what is due in the outbox, one deliverer at a time, and notes each destination's answer as it comes."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from wbagent import events
from wbagent.alerts import courier, outbox
from wbagent.alerts.courier import Parcel
from wbagent.alerts.destination import Destination
from wbagent.alerts.digest import digest
from wbagent.alerts.outbox import Waiting
from wbagent.errors import StateError
from wbagent.quantities import format_duration
from wbagent.state import State
from wbagent.systemd import journal


@dataclass(frozen=True, slots=True)
class Failure:
    """A message that its destination did not take; the next attempt is at `again` (seconds since the epoch)."""

    row: Waiting
    error: str
    again: float


@dataclass(frozen=True, slots=True)
class Round:
    """What became of the messages that were due."""

    delivered: tuple[Waiting, ...]
    failures: tuple[Failure, ...]


def deliver_due(
    state: State, to: Sequence[Destination], clock: Callable[[], float], jitter: Callable[[], float], language: str
) -> Round:
    """Send what is due, after any other deliverer has ended. `jitter` gives numbers in [0, 1).

    What is too much for a person goes as a digest, in this `language`, to each destination.

    A message leaves the outbox after its destination took it and never before: killed in between, it is sent again.
    Raises StateError.
    """
    with _alone(state):
        ids = [destination.id for destination in to]
        for row in outbox.expire(state, ids, clock()):
            _tell_expired(row)
        due = outbox.due(state, ids, clock())
        loads = [load for destination in to if (load := _load(destination, due, clock(), language))]
        return _send(state, loads, clock, jitter)


@dataclass(frozen=True, slots=True)
class _Load:
    """What one destination gets, and the rows that each of the parcel's messages stands for."""

    parcel: Parcel
    rows: tuple[tuple[Waiting, ...], ...]


def _load(destination: Destination, due: Sequence[Waiting], now: float, language: str) -> _Load | None:
    rows = tuple(row for row in due if row.destination == destination.id)
    if not rows:
        return None
    if whole := digest(rows, now, language):
        return _Load(Parcel(destination, (whole,)), (rows,))
    return _Load(Parcel(destination, tuple(row.message for row in rows)), tuple((row,) for row in rows))


def _send(state: State, loads: Sequence[_Load], clock: Callable[[], float], jitter: Callable[[], float]) -> Round:
    rows = {load.parcel.destination.id: load.rows for load in loads}
    delivered: list[Waiting] = []
    failures: list[Failure] = []
    for answer in courier.carry([load.parcel for load in loads]):
        sent = rows[answer.destination.id][answer.index]
        if not answer.error:
            for row in sent:
                outbox.delivered(state, row)
            delivered += sent
            continue
        now, chance = clock(), jitter()
        failed = [Failure(row, answer.error, outbox.failed(state, row, answer.error, now, chance)) for row in sent]
        failures += failed
        if answer.tried:
            _tell_failed(failed[0], now)
    return Round(tuple(delivered), tuple(failures))


def _tell_failed(failure: Failure, now: float) -> None:
    row = failure.row
    journal.send(
        f'"{row.message.title}" was not delivered to {row.label}: {failure.error}; '
        f"attempt {row.attempts + 1}, the next one in {format_duration(failure.again - now)}",
        level="warning",
        message_id=events.DELIVERY_FAILED,
        destination=row.label,
        alert=row.message.fingerprint,
        attempts=row.attempts + 1,
        error=failure.error,
    )


def _tell_expired(row: Waiting) -> None:
    journal.send(
        f'"{row.message.title}" was not delivered to {row.label} within {format_duration(outbox.KEPT_S)} and is given'
        f" up; last error: {row.last_error or 'no attempt, [alerts] to does not name it any more'}",
        level="error",
        message_id=events.DELIVERY_FAILED,
        destination=row.label,
        alert=row.message.fingerprint,
    )


@contextmanager
def _alone(state: State) -> Iterator[None]:
    """Hold the deliverers' lock; the kernel lets go of it when the holder dies."""
    path = state.path.with_name("deliver.lock")
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if os.geteuid() == 0:
            # Made by root first, it must still open for the unit's user.
            owner = path.parent.stat()
            os.fchown(lock, owner.st_uid, owner.st_gid)
    except OSError as error:
        raise StateError(
            f"{path} cannot be opened: {error.strerror}", hint="run as root or start wbagent-deliver.service"
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
