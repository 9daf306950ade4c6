"""Names of what is stored of binary logs: OWNER/binlogs/SERVER_UUID/FILE.CREATED/START-END.zst, and .json after it.

A file's pieces, decompressed and put one behind the other, are the server's file byte for byte. CREATED is there since
a server that resets its binary logs begins to count anew.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self

DATA: Final = ".zst"
RECORD: Final = ".json"
_STAMP: Final = "%Y%m%dT%H%M%SZ"
_KEY: Final = re.compile(
    r"(?P<uuid>[0-9a-f-]{36})/(?P<name>[^/]+)\.(?P<created>\d{8}T\d{6}Z)/(?P<start>\d+)-(?P<end>\d+)(?P<suffix>\.[a-z.]+)"
)


def binlogs_prefix(owner: str) -> str:
    """The prefix of everything here of `owner`; it ends in "/", so that node1 never means node10 too."""
    return f"{owner}/binlogs/"


@dataclass(frozen=True, slots=True, order=True)
class FileId:
    """One binary log file of one server; `created` in seconds since the epoch. Sorts by age."""

    created: int
    number: int
    name: str
    uuid: str

    @classmethod
    def of(cls, uuid: str, name: str, created: int) -> Self:
        """The id; raises ValueError for what no server calls a binary log."""
        return cls(created, file_number(name), name, uuid)

    def prefix(self, owner: str) -> str:
        """The directory of its pieces."""
        return f"{binlogs_prefix(owner)}{self.uuid}/{self.name}.{datetime.fromtimestamp(self.created, UTC):{_STAMP}}/"


@dataclass(frozen=True, slots=True, order=True)
class Range:
    """The bytes of a file from `start` up to, not including, `end`."""

    start: int
    end: int

    def stem(self, file: FileId, owner: str) -> str:
        """The key of the piece without its suffix."""
        return f"{file.prefix(owner)}{self.start:012d}-{self.end:012d}"


def file_number(name: str) -> int:
    """The number at the end of a binary log's name, by which a server's files are in order; raises ValueError."""
    return int(name.rpartition(".")[2])


def parse_key(key: str, owner: str) -> tuple[FileId, Range, str] | None:
    """What a key below the owner's prefix means: file, range and suffix; None for what is not ours."""
    found = _KEY.fullmatch(key.removeprefix(binlogs_prefix(owner)))
    if found is None:
        return None
    try:
        created = datetime.strptime(found["created"], _STAMP).replace(tzinfo=UTC)
        file = FileId.of(found["uuid"], found["name"], int(created.timestamp()))
    except ValueError:
        return None
    return file, Range(int(found["start"]), int(found["end"])), found["suffix"]
