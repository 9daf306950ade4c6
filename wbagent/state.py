"""What outlives a restart, in one SQLite file: facts, alert states and the outbox of messages."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from wbagent.errors import AccessError, StateError, WbagentError
from wbagent.state_directory import state_directory

# A rollback journal instead of WAL: members of group systemd-journal read the file without a right to write beside it.
_SCHEMA: Final = """
PRAGMA user_version = 1;
CREATE TABLE IF NOT EXISTS fact (key TEXT PRIMARY KEY, value TEXT NOT NULL, at REAL NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS alert (fingerprint TEXT PRIMARY KEY, state TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    destination TEXT NOT NULL,
    label TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    kind TEXT NOT NULL,
    message TEXT NOT NULL,
    created_at REAL NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    next_attempt_at REAL NOT NULL,
    last_error TEXT NOT NULL DEFAULT ''
) STRICT;
"""


@dataclass(frozen=True, slots=True)
class Fact:
    """A JSON value and the wall-clock time (seconds since the epoch) at which it was found."""

    value: Any
    at: float


class State:
    """The open state file. Several processes may hold it at once: each write is one short transaction."""

    def __init__(self, path: Path | None = None, *, read_only: bool = False) -> None:
        """Open (and unless `read_only` create) the file; raises StateError."""
        self.path = path or state_directory() / "state.db"
        mode = "ro" if read_only else "rwc"
        try:
            # isolation_level=None: every statement is its own transaction unless BEGIN is written out.
            self.connection = sqlite3.connect(
                f"file:{self.path}?mode={mode}", uri=True, timeout=10, isolation_level=None
            )
            if not read_only:
                self.connection.executescript(_SCHEMA)
                self.path.chmod(0o640)
            else:
                self.connection.execute("SELECT 1 FROM fact LIMIT 1")
        except (sqlite3.Error, OSError) as error:
            raise self._cannot_be_opened(error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.connection.close()

    def get(self, key: str) -> Fact | None:
        """The fact stored under `key`, or None; raises StateError."""
        found = self.rows("SELECT value, at FROM fact WHERE key = ?", (key,))
        return Fact(json.loads(found[0][0]), found[0][1]) if found else None

    def put(self, key: str, value: Any, now: float) -> None:
        """Store a JSON value as found at wall-clock time `now` (seconds since the epoch); raises StateError."""
        self.rows(
            "INSERT INTO fact VALUES (?, ?, ?) ON CONFLICT (key)"
            " DO UPDATE SET value = excluded.value, at = excluded.at",
            (key, json.dumps(value), now),
        )

    def rows(self, statement: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[tuple[Any, ...]]:
        """What a statement gives; raises StateError."""
        try:
            return self.connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise self._unusable(error) from None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes within become visible at once or not at all; raises StateError."""
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.connection.execute("COMMIT")
            except BaseException:
                # A full disk has rolled back by itself already.
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise self._unusable(error) from None

    def _cannot_be_opened(self, error: sqlite3.Error | OSError) -> WbagentError:
        if "not a database" in str(error) or "malformed" in str(error):
            return StateError(
                f"the state file {self.path} is damaged: {error}",
                hint=f"mv {self.path} {self.path}.damaged && systemctl restart wbagent; the backups are not in it",
            )
        if os.geteuid() != 0 and not os.access(self.path, os.R_OK) and _may_exist(self.path):
            return AccessError(
                f"this user may not read the state file {self.path}",
                hint="run as root or as a member of group wbagent or systemd-journal",
            )
        if not self.path.exists():
            return StateError(f"there is no state file {self.path} yet", hint="systemctl status wbagent")
        return StateError(
            f"the state file {self.path} cannot be opened: {error}", hint=f"check the disk: df {self.path.parent}"
        )

    def _unusable(self, error: sqlite3.Error) -> StateError:
        return StateError(
            f"the state file {self.path} cannot be used: {error}",
            hint=f"check that the disk is not full (df {self.path.parent}) and that user wbagent may write there",
        )


def _may_exist(path: Path) -> bool:
    """False only where this user can see that it is not there."""
    try:
        return path.exists() or not os.access(path.parent, os.X_OK)
    except PermissionError:
        return True
