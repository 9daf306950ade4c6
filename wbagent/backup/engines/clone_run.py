"""Has the server clone its data into a directory, and sees to it that the clone ends: well, or with a reason.

A clone that hangs in the server stays there until mysqld is restarted, and every other one is refused (error 3634).
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import pymysql

from wbagent.backup.engines.engine import UnfitError
from wbagent.backup.engines.growth import Growth
from wbagent.backup.progress import Meter
from wbagent.config.dsn import MysqlURL
from wbagent.database.connection import Connection, close, connect, explained, rows, session
from wbagent.errors import DatabaseError
from wbagent.quantities import format_duration

_ENDED_WITHIN_S: Final = 30.0
_LOOK_EVERY_S: Final = 0.2
_WATCH_EVERY_S: Final = 1.0
# The server answers when all is copied.
_PATIENCE_S: Final = 24 * 3600.0
# It writes all the time, but for the end, when it waits until the disk has everything.
_STILL_S: Final = 600.0
_CANNOT_WRITE: Final = "OS errno 13"


@contextmanager
def cloned(
    url: MysqlURL, target: Path, meter: Meter, still: float = _STILL_S, ended_within: float = _ENDED_WITHIN_S
) -> Iterator[None]:
    """A clone of the server's data in the new directory `target`, removed when the block is left.

    Raises UnfitError when the server cannot make it, or writes nothing for `still` seconds. One that is to end and has
    not `ended_within` so many seconds is left as it is.
    """
    over = True
    try:
        try:
            _clone(url, target, meter, still)
        except BaseException as error:
            # A signal, a time limit, a connection that was lost: the server would go on.
            over = end_abandoned(url, target.parent, ended_within)
            if isinstance(error, TimeoutError):
                raise _hangs(still, over=over) from None
            if isinstance(error, DatabaseError):
                raise _failed(error, target) from None
            raise
        yield
    finally:
        if over:
            # As root; what user wbagent may not remove, ExecStopPost= of the unit does. A server that still writes
            # there would hang.
            shutil.rmtree(target, ignore_errors=True)


def _clone(url: MysqlURL, target: Path, meter: Meter, still: float) -> None:
    """Raises DatabaseError, or TimeoutError when nothing was written for so long: then it still runs."""
    connection = connect(url, database="", read_timeout=_PATIENCE_S)
    answer: Future[None] = Future()
    # In a thread, which nobody waits for when the server does not answer any more.
    threading.Thread(target=_ask, args=(connection, url, target, answer), name="clone", daemon=True).start()
    with Growth(target, meter) as growth:
        while not wait([answer], timeout=_WATCH_EVERY_S).done:
            if growth.still_for > still:
                raise TimeoutError
    answer.result()


def _ask(connection: Connection, url: MysqlURL, target: Path, answer: Future[None]) -> None:
    try:
        rows(connection, "CLONE LOCAL DATA DIRECTORY = %s", str(target))
    except (pymysql.MySQLError, OSError) as error:
        answer.set_exception(explained(error, url))
    else:
        answer.set_result(None)
    finally:
        close(connection)


def end_abandoned(url: MysqlURL, directory: Path, within: float = _ENDED_WITHIN_S) -> bool:
    """End the clones into `directory` that nobody waits for any more; returns whether they are known to have ended.

    The server goes on after its client was killed, and hangs when the files are then removed under it. Of one that
    stands still not even the greeting comes: that, too, is waited for only `within` seconds.
    """
    statement = f"CLONE LOCAL DATA DIRECTORY = '{directory}/"
    deadline = time.monotonic() + within
    try:
        with session(url, database="", read_timeout=within) as connection:
            while time.monotonic() < deadline:
                shown = rows(connection, "SHOW FULL PROCESSLIST")
                running = [row[0] for row in shown if str(row[7] or "").startswith(statement)]
                if not running:
                    return True
                for session_id in running:
                    with suppress(pymysql.MySQLError):
                        rows(connection, f"KILL {session_id}")
                # MySQL tells nobody of the end of another session.
                time.sleep(_LOOK_EVERY_S)
    except DatabaseError:
        return False
    return False


def _hangs(still: float, *, over: bool) -> UnfitError:
    what = f"the server wrote nothing of the clone for {format_duration(still)}"
    if over:
        return UnfitError(f"{what}; it was ended", hint="look what it waited for: MySQL's error log, the disk")
    return UnfitError(
        f"{what}, and it could not be ended: until mysqld is restarted, the server may refuse every other (error 3634)",
        hint="look at MySQL's error log and the disk, and restart mysqld when people can do without it",
    )


def _failed(error: DatabaseError, target: Path) -> UnfitError:
    hint = error.hint
    if _CANNOT_WRITE in error.message or "Permission denied" in error.message:
        hint = (
            f"mysqld may not write to {target.parent}. AppArmor: add `{target.parent}/** rwk,` to"
            " /etc/apparmor.d/local/usr.sbin.mysqld, then: apparmor_parser -r /etc/apparmor.d/usr.sbin.mysqld. SELinux:"
            f" semanage fcontext -a -t mysqld_db_t '{target.parent}(/.*)?', then: restorecon -R {target.parent}"
        )
    return UnfitError(f"the server could not be cloned: {error.message}", hint=hint)
