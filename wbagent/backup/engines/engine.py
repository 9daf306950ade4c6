"""What every engine is: something that streams one database as it was at one moment, and knows what it streamed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from wbagent.backup.manifest import EngineName, Position
from wbagent.errors import BackupError


@dataclass(frozen=True, slots=True)
class WhyNot:
    """Why an engine cannot be used here, and what would change that."""

    reason: str
    remedy: str


class UnfitError(BackupError):
    """This engine cannot take a backup of this server, and found out before the first byte; another one may."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What is known of a stream after its end: binary log position, exact rows of some tables, warnings."""

    position: Position | None
    rows: Mapping[str, int]
    warnings: tuple[str, ...]


class Stream(Protocol):
    """A backup that is being taken."""

    def chunks(self) -> Iterator[bytes]:
        """All of it; raises BackupError, at the latest at the end, when it is not a whole backup."""

    def finish(self) -> Taken:
        """Judge what was streamed; raises BackupError or DatabaseError when it is worth nothing. Call it once."""


class Engine(Protocol):
    """One way to take a backup, checked and ready to begin."""

    @property
    def name(self) -> EngineName:
        """As in the commit record."""

    @property
    def file(self) -> str:
        """What the stream is called in the backup, without the suffixes that say how it is stored."""

    @property
    def compressed(self) -> bool:
        """Whether the stream is compressed already, and is stored as it comes."""

    @property
    def largest(self) -> int:
        """About the most bytes that may come."""

    @property
    def stage(self) -> str:
        """What is being done, for the progress line."""

    @property
    def options(self) -> tuple[str, ...]:
        """How the tool was called, for the commit record: no secret in it."""

    @property
    def tools(self) -> Mapping[str, str]:
        """The programs used and their versions."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person should know of backups by this engine from this server."""

    def take(self) -> AbstractContextManager[Stream]:
        """Begin; leaving the block ends and cleans up whatever is still there.

        Raises UnfitError, BackupError, DatabaseError.
        """
