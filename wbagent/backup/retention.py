"""Which backups have had their time: a pure decision, made after a new backup was proven."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Policy:
    """How long a backup is kept, and how many are kept however old they are (at least one)."""

    keep_days: int
    keep_at_least: int


@dataclass(frozen=True, slots=True)
class Kept:
    """One committed backup of the owner: its id, and when it was finished (aware)."""

    id: str
    finished_at: datetime


def expired(backups: Iterable[Kept], policy: Policy, now: datetime) -> tuple[str, ...]:
    """The ids to delete, oldest first, of the committed backups of one owner.

    Invariant, whatever the clock says and in whatever order the backups are given: what stays includes the newest
    backup, every one finished less than `keep_days` days before `now` (or after it), and, if there are so many,
    `keep_at_least` backups; those that stay are newer than all that go. So any prefix of the answer may be carried
    out and interrupted: the rule still holds, and asking again gives the rest.
    """
    newest_first = sorted(backups, key=lambda backup: (backup.finished_at, backup.id), reverse=True)
    limit = now - timedelta(days=policy.keep_days)
    candidates = newest_first[max(policy.keep_at_least, 1) :]
    return tuple(backup.id for backup in reversed(candidates) if backup.finished_at <= limit)
