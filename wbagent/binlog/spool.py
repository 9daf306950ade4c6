"""The directory that mysqlbinlog writes into: its files read event by event, in order, and removed once shipped."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self

from wbagent.binlog.events import Event, EventStream
from wbagent.binlog.layout import file_number
from wbagent.errors import StateError

_NOTE: Final = "reading.json"
_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Reading:
    """What is being read into the spool: from which server, its first file, and the offset where that begins.

    `unlogged`: what that server had executed before, and no binary log of it names.
    """

    uuid: str
    version: str
    file: str
    position: int
    unlogged: str = ""


class Spool:
    """The directory. Methods raise StateError where the disk does not let them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        try:
            directory.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise _unusable(directory, error) from None

    def reading(self) -> Reading | None:
        """What the files in it are of; None when there are none that mean anything."""
        try:
            return Reading(**json.loads((self.directory / _NOTE).read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None
        except OSError as error:
            raise _unusable(self.directory, error) from None

    def forget(self) -> None:
        """Empty it."""
        try:
            # The note goes first: without it what is there means nothing.
            (self.directory / _NOTE).unlink(missing_ok=True)
            for path in self.directory.iterdir():
                path.unlink()
        except OSError as error:
            raise _unusable(self.directory, error) from None

    def begin(self, reading: Reading) -> None:
        """Empty it for another run of mysqlbinlog; what it held must have been shipped."""
        self.forget()
        try:
            unfinished = self.directory / f"{_NOTE}.unfinished"
            unfinished.write_text(json.dumps(asdict(reading)))
            unfinished.rename(self.directory / _NOTE)
        except OSError as error:
            raise _unusable(self.directory, error) from None

    def size(self) -> int:
        """Bytes that it takes."""
        return sum(path.stat().st_size for path in self.files())

    def files(self) -> tuple[Path, ...]:
        """The binary log files in it, oldest first."""
        try:
            found = [path for path in self.directory.iterdir() if path.suffix[1:].isdigit()]
        except OSError as error:
            raise _unusable(self.directory, error) from None
        return tuple(sorted(found, key=lambda path: file_number(path.name)))

    def remove(self, path: Path) -> None:
        """Remove a file that was shipped to its end."""
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise _unusable(self.directory, error) from None


class SpooledFile:
    """One file of the spool, read as far as it goes, and further when it has grown."""

    def __init__(self, path: Path, at: int) -> None:
        """`at`: the offset in the server's file where this one begins, 4 for its beginning."""
        self.path = path
        self._stream = EventStream(at)
        try:
            self._file = path.open("rb", buffering=0)
        except OSError as error:
            raise _unusable(path, error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of it."""
        self._file.close()

    def events(self) -> Iterator[Event]:
        """The events that are whole by now, one that was not taken last time first; raises MisreadError."""
        yield from self._stream.feed(b"")
        while True:
            try:
                data = os.read(self._file.fileno(), _CHUNK)
            except OSError as error:
                raise _unusable(self.path, error) from None
            if not data:
                return
            yield from self._stream.feed(data)


def _unusable(path: Path, error: OSError) -> StateError:
    return StateError(
        f"the spool for binary logs, {path}, cannot be used: {error.strerror}", hint=f"check the disk: df {path}"
    )
