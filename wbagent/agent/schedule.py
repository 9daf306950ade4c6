"""When the daily backup is due: pure functions of the time of day, the last attempt and now."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, time, timedelta


def last_occurrence(at: str, now: datetime) -> datetime:
    """The latest moment not after `now` (aware, local) at which the clock on the wall showed `at` ("HH:MM")."""
    clock = time.fromisoformat(at)
    # Combined without an offset first: the offset of that day may be another one than today's.
    days = (datetime.combine(now.date() - timedelta(days=day), clock).replace(tzinfo=now.tzinfo) for day in range(3))
    return next(moment for moment in days if moment <= now)


def last_try(tries: Iterable[float], waiting: float) -> float | None:
    """When a backup was last tried, of the times of tries; `waiting`: when one found nothing to back up yet, or 0.

    That one was no try, nor was what led to it: it is due again at the next look, until the server has made its tables.
    """
    return max((at for at in tries if at > waiting), default=None)


def backup_due(at: str, last_attempt: datetime | None, now: datetime) -> bool:
    """Whether a backup is to be started now.

    Invariant: however often and in whatever order this is asked, with the agent down for any time in between, each
    scheduled occurrence leads to at most one start, and of several that were missed only one is made up for. A host
    that never had a backup is due at once.
    """
    return last_attempt is None or last_attempt < last_occurrence(at, now)
