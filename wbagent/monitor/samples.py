"""The samples of a year in a SQLite file of their own, at falling resolution and of bounded size.

Not in the state file: that one is small, read whole when it is opened and written with care; this one may be lost.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from wbagent.errors import StateError
from wbagent.moment import Moment
from wbagent.monitor.sample import Labels, Sample
from wbagent.state_directory import state_directory

# Length of a bucket and how long it is kept, in seconds: a minute for two days, ten for two weeks, an hour for a year.
LEVELS: Final = ((60, 2 * 86400), (600, 14 * 86400), (3600, 366 * 86400))
# A series takes 0.67 MB in the end, so all of them 43 MB: no more, whatever is mounted and attached in a year.
MOST_SERIES: Final = 64
# The file beside the state file.
FILE: Final = "samples.db"
_TIDY_EVERY_S: Final = 3600.0
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS series (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, labels TEXT NOT NULL, UNIQUE (name, labels)
) STRICT;
CREATE TABLE IF NOT EXISTS bucket (
    series INTEGER NOT NULL, length INTEGER NOT NULL, at INTEGER NOT NULL,
    count INTEGER NOT NULL, total REAL NOT NULL, least REAL NOT NULL, most REAL NOT NULL,
    PRIMARY KEY (series, length, at)
) STRICT, WITHOUT ROWID;
"""
_ADD: Final = """
INSERT INTO bucket VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count,
total = total + excluded.total, least = min(least, excluded.least), most = max(most, excluded.most)
"""


@dataclass(frozen=True, slots=True)
class Bucket:
    """What was read in [at, at + length), wall-clock seconds since the epoch."""

    at: int
    length: int
    mean: float
    least: float
    most: float


@dataclass(slots=True)
class _Minute:
    count: int = 0
    total: float = 0.0
    least: float = float("inf")
    most: float = float("-inf")

    def add(self, value: float) -> None:
        self.count += 1
        self.total += value
        self.least, self.most = min(self.least, value), max(self.most, value)


class Collector:
    """Gathers samples in memory, to be stored once a minute: two fsyncs a minute, however much is sampled."""

    def __init__(self) -> None:
        self._minutes: dict[tuple[str, Labels, int], _Minute] = {}
        self._tidied = float("-inf")

    def take(self, samples: Iterable[Sample], now: float) -> None:
        """Samples that were read at wall-clock time `now`."""
        for sample in samples:
            key = (sample.name, sample.labels, int(now) // LEVELS[0][0] * LEVELS[0][0])
            self._minutes.setdefault(key, _Minute()).add(sample.value)

    def store(self, path: Path, now: Moment) -> None:
        """Store what was gathered, and once an hour forget what is too old.

        Raises StateError; what could not be stored is lost then, so that memory stays bounded while a disk is full.
        """
        gathered, self._minutes = self._minutes, {}
        with Samples(path) as samples, samples.transaction() as connection:
            for (name, labels, at), minute in gathered.items():
                _add(connection, name, labels, at, minute)
            if now.boottime - self._tidied >= _TIDY_EVERY_S:
                _tidy(connection, now.wall)
                self._tidied = now.boottime


class Samples:
    """The open file; a damaged one is removed and begun anew. Raises StateError."""

    def __init__(self, path: Path | None = None, *, read_only: bool = False) -> None:
        self.path = path or state_directory() / FILE
        try:
            self._connection = self._open(read_only=read_only)
        except (sqlite3.Error, OSError) as error:
            raise self._unusable(error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def series(self) -> tuple[tuple[str, Labels], ...]:
        """Name and labels of everything that is kept."""
        rows = self._rows("SELECT name, labels FROM series ORDER BY name, labels", ())
        return tuple((name, tuple((key, value) for key, value in json.loads(labels))) for name, labels in rows)

    def read(self, name: str, labels: Labels, since: float, length: int) -> tuple[Bucket, ...]:
        """The buckets of this length (one of LEVELS) that had not ended at `since`, oldest first."""
        rows = self._rows(
            "SELECT at, length, total / count, least, most FROM bucket JOIN series ON id = series"
            " WHERE name = ? AND labels = ? AND length = ? AND at > ? ORDER BY at",
            (name, json.dumps(labels), length, since - length),
        )
        return tuple(Bucket(*row) for row in rows)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All writes within become visible at once or not at all."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            yield self._connection
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            if "malformed" in str(error):
                self.path.unlink(missing_ok=True)
            raise self._unusable(error) from None

    def _open(self, *, read_only: bool) -> sqlite3.Connection:
        mode = "ro" if read_only else "rwc"
        connection = sqlite3.connect(f"file:{self.path}?mode={mode}", uri=True, timeout=10, isolation_level=None)
        if read_only:
            return connection
        try:
            connection.executescript(_SCHEMA)
        except sqlite3.DatabaseError as error:
            if "not a database" not in str(error) and "malformed" not in str(error):
                raise
            connection.close()
            self.path.unlink()
            return self._open(read_only=False)
        self.path.chmod(0o640)
        return connection

    def _rows(self, statement: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise self._unusable(error) from None

    def _unusable(self, error: sqlite3.Error | OSError) -> StateError:
        if isinstance(error, sqlite3.Error) and not self.path.exists():
            return StateError(f"there is no file of samples {self.path} yet", hint="systemctl status wbagent")
        return StateError(
            f"the samples in {self.path} cannot be used: {error}",
            hint=f"check that the disk is not full (df {self.path.parent}); the file may be deleted",
        )


def _add(connection: sqlite3.Connection, name: str, labels: Labels, at: int, minute: _Minute) -> None:
    """To every level at once, so nothing has to be rolled up later; a series too many is left out."""
    text = json.dumps(labels)
    found = connection.execute("SELECT id FROM series WHERE name = ? AND labels = ?", (name, text)).fetchone()
    if found is None:
        ((count,),) = connection.execute("SELECT count(*) FROM series").fetchall()
        if count >= MOST_SERIES:
            return
        found = (connection.execute("INSERT INTO series (name, labels) VALUES (?, ?)", (name, text)).lastrowid,)
    for length, _ in LEVELS:
        row = (found[0], length, at // length * length, minute.count, minute.total, minute.least, minute.most)
        connection.execute(_ADD, row)


def _tidy(connection: sqlite3.Connection, now: float) -> None:
    """Forget what is too old, and what is of the future: the clock was set back since."""
    for (series,) in connection.execute("SELECT id FROM series").fetchall():
        for length, kept in LEVELS:
            connection.execute(
                "DELETE FROM bucket WHERE series = ? AND length = ? AND (at < ? OR at > ?)",
                (series, length, now - kept, now + length),
            )
    connection.execute("DELETE FROM series WHERE NOT EXISTS (SELECT 1 FROM bucket WHERE series = id)")
