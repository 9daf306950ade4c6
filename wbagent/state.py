"""What outlives a restart, in one SQLite file: facts, alert states and their history, and the outbox of messages."""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from wbagent.durable import sync_directory
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
CREATE TABLE IF NOT EXISTS alert_span (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    fingerprint TEXT NOT NULL,
    title TEXT NOT NULL,
    began REAL NOT NULL,
    ended REAL
) STRICT;
"""


_PATIENCE_S: Final = 10.0
_PUT: Final = (
    "INSERT INTO fact VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value, at = excluded.at"
)
# The fact in a new file that tells what became of the damaged one: {"file", "reason", "told": whether people know}.
SET_ASIDE: Final = "state.set_aside"
# The agent's fact of which parts are configured, and of a configuration that it "refused".
AGENT_CONFIG: Final = "config"


@dataclass(frozen=True, slots=True)
class Fact:
    """A JSON value and the wall-clock time (seconds since the epoch) at which it was found."""

    value: Any
    at: float


class State:
    """The open state file. Several processes may hold it at once: each write is one short transaction.

    Nothing that matters is only in it. So one that is damaged is set aside (fact SET_ASIDE) and a new one begun; the
    processes that still have the old one open go over to the new one at their next use.
    """

    def __init__(self, path: Path | None = None, *, read_only: bool = False, patience: float = _PATIENCE_S) -> None:
        """Open (and unless `read_only` create) the file; raises StateError.

        `patience`: seconds that each use waits for another process to let go of the file.
        """
        self.path = path or state_directory() / "state.db"
        self._patience = patience
        self._read_only = read_only
        try:
            try:
                self._open()
            except sqlite3.DatabaseError as error:
                if read_only or not _is_damage(error):
                    raise
                self._renew(error)
        except (sqlite3.Error, OSError) as error:
            raise self._cannot_be_opened(error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.connection.close()

    def _open(self) -> None:
        # Until it is open, the next use tries again.
        self._inode = 0
        mode = "ro" if self._read_only else "rwc"
        # isolation_level=None: every statement is its own transaction unless BEGIN is written out.
        self.connection = sqlite3.connect(
            f"file:{self.path}?mode={mode}", uri=True, timeout=self._patience, isolation_level=None
        )
        if self._read_only:
            self.connection.execute("SELECT 1 FROM fact LIMIT 1")
        else:
            self.connection.executescript(_SCHEMA)
            self.path.chmod(0o640)
            if os.geteuid() == 0:
                # What root makes there the agent has to write too.
                above = self.path.parent.stat()
                os.chown(self.path, above.st_uid, above.st_gid, follow_symlinks=False)
            # The file is small: all of it is looked at, so that damage shows here and not in the midst of something.
            ((found,),) = self.connection.execute("PRAGMA quick_check(1)").fetchall()
            if found != "ok":
                raise sqlite3.DatabaseError(f"malformed: {found}")
        self._inode = self.path.stat().st_ino

    def _renew(self, damage: sqlite3.Error) -> None:
        """Set the damaged file aside unless another process has done so, and go over to the new one."""
        with _alone(self.path):
            self.connection.close()
            try:
                self._open()
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    raise
                self.connection.close()
            else:
                return
            aside = _set_aside(self.path)
            self._open()
            # Whoever meets the damage may be a short-lived program: the agent tells people of it.
            value = json.dumps({"file": str(aside), "reason": str(damage), "told": False})
            self.connection.execute(_PUT, (SET_ASIDE, value, time.time()))

    def _follow(self) -> None:
        """Go over to the file that has taken the place of the one that is open: that was damaged and set aside."""
        if self._read_only or self._in_transaction():
            return
        try:
            # Also when somebody moved it away by hand.
            if not self.path.exists() or self.path.stat().st_ino != self._inode:
                self.connection.close()
                self._open()
        except OSError as error:
            raise self._unusable(error) from None

    def _in_transaction(self) -> bool:
        try:
            return self.connection.in_transaction
        except sqlite3.ProgrammingError:
            # It is closed: the file could not be opened again.
            return False

    def get(self, key: str) -> Fact | None:
        """The fact stored under `key`, or None; raises StateError."""
        found = self.rows("SELECT value, at FROM fact WHERE key = ?", (key,))
        return Fact(json.loads(found[0][0]), found[0][1]) if found else None

    def put(self, key: str, value: Any, now: float) -> None:
        """Store a JSON value as found at wall-clock time `now` (seconds since the epoch); raises StateError."""
        self.rows(_PUT, (key, json.dumps(value), now))

    def rows(self, statement: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[tuple[Any, ...]]:
        """What a statement gives; raises StateError."""
        try:
            self._follow()
            return self.connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise self._unusable(error) from None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes within become visible at once or not at all; raises StateError."""
        try:
            self._follow()
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.connection.execute("COMMIT")
            except BaseException:
                # A full disk has rolled back by itself already.
                if self._in_transaction():
                    self.connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise self._unusable(error) from None

    def _cannot_be_opened(self, error: sqlite3.Error | OSError) -> WbagentError:
        if isinstance(error, sqlite3.Error) and _is_damage(error):
            return StateError(
                f"the state file {self.path} is damaged: {error}",
                hint="systemctl restart wbagent sets it aside and begins a new one; the backups are not in it",
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

    def _unusable(self, error: sqlite3.Error | OSError) -> StateError:
        if isinstance(error, sqlite3.Error) and _is_damage(error) and not self._read_only:
            try:
                self._renew(error)
            except (sqlite3.Error, OSError) as worse:
                error = worse
            else:
                return StateError(f"the state file {self.path} was damaged; it begins anew", hint="ls /var/lib/wbagent")
        return StateError(
            f"the state file {self.path} cannot be used: {error}",
            hint=f"check that the disk is not full (df {self.path.parent}) and that user wbagent may write there",
        )


def _is_damage(error: sqlite3.Error) -> bool:
    # SQLITE_CORRUPT and SQLITE_NOTADB, by their texts: what quick_check finds has no code.
    return "not a database" in str(error) or "malformed" in str(error)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Be the only one who sets the file aside. Raises OSError."""
    descriptor = os.open(path.with_name("state.lock"), os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _set_aside(path: Path) -> Path:
    """Rename the file, and the journal of what it was in the midst of, which must not meet a new file; its new name."""
    aside = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
    with suppress(FileNotFoundError):
        path.with_name(f"{path.name}-journal").rename(f"{aside}-journal")
    path.rename(aside)
    sync_directory(path.parent)
    return aside


def _may_exist(path: Path) -> bool:
    """False only where this user can see that it is not there."""
    try:
        return path.exists() or not os.access(path.parent, os.X_OK)
    except PermissionError:
        return True
