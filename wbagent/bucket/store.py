"""The small interface that every place for backups has; keys are relative to the configured prefix."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from wbagent.errors import BucketError


class NotStoredError(BucketError):
    """There is no object of that name."""


class UnansweredError(BucketError):
    """No connection, or no answer in time."""


class NotAllowedError(BucketError):
    """The store refuses this to the key or user that was given."""


class LockedError(NotAllowedError):
    """Object Lock keeps the object until the time `until` (aware; None: for ever, or nobody says).

    To whom removes what is old this is no failure: the time has not come, and asking again later is right.
    """

    def __init__(self, message: str, *, until: datetime | None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.until = until


@dataclass(frozen=True, slots=True)
class Entry:
    """One stored object: its key and its size in bytes."""

    key: str
    size: int


class Writer(Protocol):
    """An object that is being written; nobody sees it before `commit`."""

    def write(self, data: bytes | memoryview) -> None:
        """Add to it; raises BucketError, at the latest on the next call, once any part could not be stored."""

    def commit(self) -> None:
        """Make it visible under its key, whole; raises BucketError."""


class Store(Protocol):
    """A place for backups. Every method raises BucketError, or the kind of it that fits."""

    @property
    def address(self) -> str:
        """Where it is, for people: holds no secret."""

    @property
    def off_site(self) -> bool:
        """Whether what it holds outlives this host."""

    def hurried(self) -> Store:
        """The same place, for a courtesy that must not hold anything up: no request takes longer than some seconds."""

    def check_ready(self) -> None:
        """Whether it can hold backups as the configuration wants them; raises BucketError that says what is missing."""

    def writer(self, key: str, *, largest: int) -> AbstractContextManager[Writer]:
        """Write an object of at most about `largest` bytes; leaving the block without `commit` leaves nothing."""

    def put(self, key: str, data: bytes) -> None:
        """Store a small object, replacing one of the same key at once or not at all."""

    def get(self, key: str) -> Iterator[bytes]:
        """The object's bytes in chunks of at most CHUNK (wbagent/chunk.py)."""

    def entries(self, prefix: str) -> Iterator[Entry]:
        """All objects whose key begins with `prefix`, sorted by key; end it with "/" to mean a directory."""

    def size(self, key: str) -> int:
        """The object's size in bytes."""

    def delete(self, key: str) -> None:
        """Remove it for good; one that is gone already is no error. Raises LockedError for what may not go yet.

        In a bucket with versions a plain DELETE only hides an object behind a marker: here every version of this very
        key goes, the current one last, and its markers. Whoever may not see or delete versions (NotAllowedError then,
        unless the keys may not even ask whether there are versions) leaves that to the bucket's lifecycle rules. What
        is locked is not hidden either: it stays as it is, listed and readable. What a lock of the governance kind
        keeps is never forced, whatever the keys may do.
        """

    def withdraw(self, keys: Iterable[str]) -> None:
        """Remove what a run that failed has stored, as far as that goes at once; raises nothing."""

    def clear_unfinished(self, prefix: str) -> int:
        """Remove what writers that died left below `prefix` and say how many; finished objects are never touched."""
