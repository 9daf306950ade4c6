"""The load of a MySQL server: one look with a handful of small queries, and what two looks say together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import pymysql

from wbagent.config.dsn import MysqlURL
from wbagent.database.connection import Connection, is_denied, rows, session
from wbagent.moment import Moment

_ANSWER_WITHIN_S: Final = 10.0
# The product's own and other dumps read in one transaction for hours, and that is as it should be.
_DUMPS: Final = "'mysqldump', 'mydumper', 'mysqlpump', 'xtrabackup', 'wbagent'"
_OLDEST: Final = (
    "SELECT CAST(TIMESTAMPDIFF(SECOND, trx_started, NOW()) AS SIGNED), trx_mysql_thread_id"
    " FROM information_schema.innodb_trx{dumps} ORDER BY trx_started LIMIT 1"
)
_NO_DUMPS: Final = (
    " LEFT JOIN performance_schema.session_connect_attrs ON processlist_id = trx_mysql_thread_id"
    f" AND attr_name = 'program_name' WHERE attr_value IS NULL OR attr_value NOT IN ({_DUMPS})"
)
_COUNTERS: Final = (
    "SELECT name, count FROM information_schema.innodb_metrics"
    " WHERE name IN ('lock_deadlocks', 'trx_rseg_history_len') AND status = 'enabled'"
)
# Of these files' waits that are neither reads nor writes, all but a few are fsyncs. Picoseconds.
_FSYNCS: Final = (
    "SELECT CAST(SUM(count_misc) AS SIGNED), CAST(SUM(sum_timer_misc) AS DOUBLE) / 1e12"
    " FROM performance_schema.file_summary_by_event_name"
    " WHERE event_name IN ('wait/io/file/innodb/innodb_log_file', 'wait/io/file/sql/binlog')"
)
# A mean over fewer fsyncs says little.
_FEWEST_FSYNCS: Final = 10
DEADLOCK_WINDOW_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class Load:
    """One look. What this account may not see is None, and `missing` names the privileges that it lacks.

    `oldest_s`: age of the oldest transaction of others than dumps, seconds, 0 for none, and `oldest_id` its connection.
    `deadlocks`, `fsyncs` and `fsync_s` (seconds spent in them) have grown since the server's start `uptime_s` ago.
    """

    at: Moment
    connections: int
    most_connections: int
    uptime_s: float
    oldest_s: float | None = None
    oldest_id: int = 0
    history: int | None = None
    deadlocks: int | None = None
    fsyncs: int | None = None
    fsync_s: float = 0.0
    missing: tuple[str, ...] = ()


def read_load(url: MysqlURL, now: Moment) -> Load:
    """Look; raises DatabaseError when MySQL does not answer."""
    with session(url, database="", read_timeout=_ANSWER_WITHIN_S) as connection:
        return _read(connection, now)


def _read(connection: Connection, now: Moment) -> Load:
    # InnoDB tells the start of a transaction in the host's time zone, whatever the server's default is.
    rows(connection, "SET time_zone = SYSTEM")
    status = dict(
        rows(connection, "SHOW GLOBAL STATUS WHERE variable_name IN ('Threads_connected', 'Uptime')"),
    )
    ((limit,),) = rows(connection, "SELECT @@GLOBAL.max_connections")
    missing: list[str] = []
    fsyncs = _allowed(lambda: rows(connection, _FSYNCS)[0], "SELECT", missing)
    counters = _allowed(lambda: dict(rows(connection, _COUNTERS)), "PROCESS", missing)
    # Without SELECT on performance_schema nobody can tell a dump from another transaction: then all count.
    dumps = "" if "SELECT" in missing else _NO_DUMPS
    oldest = _allowed(lambda: rows(connection, _OLDEST.format(dumps=dumps)), "PROCESS", missing)
    history = (counters or {}).get("trx_rseg_history_len")
    deadlocks = (counters or {}).get("lock_deadlocks")
    return Load(
        at=now,
        # This very session is no load.
        connections=int(status["Threads_connected"]) - 1,
        most_connections=int(limit),
        uptime_s=float(status["Uptime"]),
        oldest_s=None if oldest is None else float(oldest[0][0]) if oldest else 0.0,
        oldest_id=int(oldest[0][1]) if oldest else 0,
        history=None if history is None else int(history),
        deadlocks=None if deadlocks is None else int(deadlocks),
        fsyncs=None if fsyncs is None or fsyncs[0] is None else int(fsyncs[0]),
        fsync_s=float(fsyncs[1] or 0.0) if fsyncs else 0.0,
        missing=tuple(dict.fromkeys(missing)),
    )


def _allowed(ask: Callable[[], Any], privilege: str, missing: list[str]) -> Any:
    """The answer, or None where the account lacks `privilege`, which is noted then."""
    try:
        return ask()
    except pymysql.MySQLError as error:
        if not is_denied(error):
            raise
        missing.append(privilege)
        return None


def fsync_seconds(before: Load | None, after: Load) -> float | None:
    """The mean time of the fsyncs between two looks, seconds; 0 for too few of them, None when it is not known.

    Invariant: never negative; a restart of the server in between gives None, not the mean of its whole life.
    """
    if before is None or before.fsyncs is None or after.fsyncs is None:
        return None
    count, seconds = after.fsyncs - before.fsyncs, after.fsync_s - before.fsync_s
    if count < 0 or seconds < 0 or _restarted(before, after):
        return None
    return seconds / count if count >= _FEWEST_FSYNCS else 0.0


@dataclass(frozen=True, slots=True)
class Deadlocks:
    """How many deadlocks there were in the last ten minutes, from the counter's value at each look."""

    looks: tuple[Load, ...] = ()

    def then(self, load: Load) -> Deadlocks:
        """With a further look: what is older than the window is forgotten, but for one look at its beginning.

        Invariant: the looks are of one life of the server, oldest first, at most one is older than the window.
        """
        if load.deadlocks is None:
            return Deadlocks()
        looks = self.looks
        if looks and (_restarted(looks[-1], load) or load.deadlocks < (looks[-1].deadlocks or 0)):
            looks = ()
        looks = (*looks, load)
        while len(looks) > 1 and (load.at.since(looks[1].at) or 0.0) >= DEADLOCK_WINDOW_S:
            looks = looks[1:]
        return Deadlocks(looks)

    @property
    def count(self) -> int | None:
        """Deadlocks within the window (since the first look, where that is younger); None when they cannot be seen."""
        if not self.looks:
            return None
        return (self.looks[-1].deadlocks or 0) - (self.looks[0].deadlocks or 0)


def _restarted(before: Load, after: Load) -> bool:
    # It may have been up for longer by now than it had been at the look before.
    return after.uptime_s < max(before.uptime_s, after.at.since(before.at) or 0.0)
