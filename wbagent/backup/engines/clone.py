"""The engine for a server on this host: MySQL clones its own data files, exact and at disk speed, and they are read.

CLONE LOCAL (MySQL manual, "Cloning Data Locally") copies all InnoDB data of the server as of the end of the copy, with
gtid_executed, while writers go on. The clone is a data directory that mysqld starts on.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import pymysql

from wbagent.backup.engines.clone_directory import fresh_name
from wbagent.backup.engines.engine import Taken, UnfitError
from wbagent.backup.engines.growth import Growth
from wbagent.backup.engines.tar_stream import tar_stream
from wbagent.backup.layout import DATADIR
from wbagent.backup.manifest import EngineName, Position
from wbagent.backup.progress import Meter, Reporter
from wbagent.backup.source import Source, check_complete, look_again, some
from wbagent.config.dsn import MysqlURL
from wbagent.database.clone import CloneFacts
from wbagent.database.connection import close, connect, explained, rows, session
from wbagent.errors import DatabaseError

_ENDED_WITHIN_S: Final = 30.0
_LOOK_EVERY_S: Final = 0.2
# The server answers when all is copied.
_PATIENCE_S: Final = 24 * 3600.0
_CANNOT_WRITE: Final = "OS errno 13"


class Clone:
    """Takes a clone of the whole server into `directory`, and streams it as a tar."""

    name: Final[EngineName] = "clone"
    file: Final = DATADIR
    compressed: Final = False
    stage: Final = "storing"
    options: tuple[str, ...] = ("CLONE LOCAL DATA DIRECTORY",)

    def __init__(self, url: MysqlURL, directory: Path, source: Source, facts: CloneFacts, report: Reporter) -> None:
        """For a server of which `why_no_clone` says nothing."""
        self._url = url
        self._directory = directory
        self._source = source
        self._facts = facts
        self._report = report
        self.warnings = (
            (f"the clone is of the whole server, and holds these databases too: {some(facts.others)}",)
            if facts.others
            else ()
        )

    @property
    def largest(self) -> int:
        return self._facts.data_bytes

    @property
    def tools(self) -> Mapping[str, str]:
        return {}

    @contextmanager
    def take(self) -> Iterator[_Stream]:
        target = self._directory / fresh_name()
        position = _position(self._url, self._source)
        try:
            self._clone(target)
            yield _Stream(self._url, self._source, target, position)
        finally:
            # As root; what user wbagent may not remove, ExecStopPost= of the unit does.
            shutil.rmtree(target, ignore_errors=True)

    def _clone(self, target: Path) -> None:
        connection = connect(self._url, database="", read_timeout=_PATIENCE_S)
        meter = Growth(target, Meter("cloning", self._report, expected=self._facts.data_bytes))
        try:
            with meter:
                rows(connection, "CLONE LOCAL DATA DIRECTORY = %s", str(target))
        except BaseException as error:
            # A signal, a time limit, a connection that was lost: the server would go on.
            end_abandoned(self._url, self._directory)
            if isinstance(error, pymysql.MySQLError | OSError):
                raise _failed(explained(error, self._url), target) from None
            raise
        finally:
            close(connection)
        if not (target / "ibdata1").exists():
            raise UnfitError(
                f"the server cloned into {target}, but nothing is there on this host: it runs in another file system",
                hint='a server in a container: write engine = "mysqldump" in [backup]',
            )


class _Stream:
    """A finished clone."""

    def __init__(self, url: MysqlURL, source: Source, target: Path, position: Position | None) -> None:
        self._url = url
        self._source = source
        self._target = target
        self._position = position

    def chunks(self) -> Iterator[bytes]:
        yield from tar_stream(self._target, owner="mysql")

    def finish(self) -> Taken:
        # The clone itself is whole whatever DDL did meanwhile; but nobody could say what has to be in it.
        before = self._source.database
        news = check_complete(before, look_again(self._url, self._source), [table.name for table in before.tables])
        return Taken(self._position, {}, news)


def _position(url: MysqlURL, source: Source) -> Position | None:
    """Where the binary log stands before the clone: everything up to there is in it, and usually more."""
    if not source.server.binary_log:
        return None
    statement = "SHOW BINARY LOG STATUS" if source.server.version >= (8, 2, 0) else "SHOW MASTER STATUS"
    try:
        with session(url) as connection:
            found = rows(connection, statement)
    except DatabaseError:
        return None
    if not found:
        return None
    file, offset, *_, gtid_set = found[0]
    return Position(gtid_set=str(gtid_set).replace("\n", "") or None, file=str(file), offset=int(offset), exact=False)


def end_abandoned(url: MysqlURL, directory: Path) -> None:
    """End the clones into `directory` that nobody waits for any more, and wait until they have ended.

    The server goes on after its client was killed, and hangs when the files are then removed under it.
    """
    statement = f"CLONE LOCAL DATA DIRECTORY = '{directory}/"
    deadline = time.monotonic() + _ENDED_WITHIN_S
    try:
        with session(url, database="") as connection:
            while time.monotonic() < deadline:
                shown = rows(connection, "SHOW FULL PROCESSLIST")
                running = [row[0] for row in shown if str(row[7] or "").startswith(statement)]
                if not running:
                    return
                for session_id in running:
                    with suppress(pymysql.MySQLError):
                        rows(connection, f"KILL {session_id}")
                # MySQL tells nobody of the end of another session.
                time.sleep(_LOOK_EVERY_S)
    except DatabaseError:
        return


def _failed(error: DatabaseError, target: Path) -> UnfitError:
    hint = error.hint
    if _CANNOT_WRITE in error.message or "Permission denied" in error.message:
        hint = (
            f"mysqld may not write to {target.parent}. AppArmor: add `{target.parent}/** rwk,` to"
            " /etc/apparmor.d/local/usr.sbin.mysqld, then: apparmor_parser -r /etc/apparmor.d/usr.sbin.mysqld. SELinux:"
            f" semanage fcontext -a -t mysqld_db_t '{target.parent}(/.*)?', then: restorecon -R {target.parent}"
        )
    return UnfitError(f"the server could not be cloned: {error.message}", hint=hint)
