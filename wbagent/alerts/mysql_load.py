"""The alerts about MySQL's load: connections, old transactions, undo history, deadlocks and slow fsyncs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from wbagent.alerts.condition import Condition
from wbagent.alerts.database import AWAY
from wbagent.alerts.watch import Seen
from wbagent.config import Settings
from wbagent.config.monitor import MysqlLoadSettings
from wbagent.database.grants import mysql_command
from wbagent.errors import DatabaseError
from wbagent.moment import Moment
from wbagent.monitor.mysql_load import Deadlocks, Load, fsync_seconds, read_load
from wbagent.monitor.reach import Reach
from wbagent.monitor.sample import Sample
from wbagent.quantities import format_duration

CONNECTIONS: Final = "mysql-connections"
TRANSACTION: Final = "mysql-transaction"
HISTORY: Final = "mysql-history"
DEADLOCKS: Final = "mysql-deadlocks"
FSYNC: Final = "mysql-fsync"
UNSEEN: Final = "mysql-unseen"

_FOR_S: Final = 300.0
# What is wrong by configuration stays wrong: once a month is enough.
_SELDOM_S: Final = 30 * 86400.0


class MysqlWatch:
    """The MySQL server of this host's configuration."""

    kinds = frozenset({CONNECTIONS, TRANSACTION, HISTORY, DEADLOCKS, FSYNC, UNSEEN})

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._before: Load | None = None
        self._deadlocks = Deadlocks()

    def every(self, settings: Settings) -> float | None:
        """As [monitor.mysql] says, where there is a database."""
        mysql = settings.monitor.mysql
        return mysql.every if mysql.enabled and settings.database_url() else None

    def look(self, settings: Settings, now: Moment) -> Seen:
        """One connection; MySQL that does not answer is an alert of its own, and this is held by that."""
        url = settings.database_url()
        if url is None:
            return Seen()
        try:
            load = read_load(url, now)
        except DatabaseError as error:
            self._reach.note(url.host, error.reached, now)
            # Nobody knows whether its old transactions have ended: that it is away is told, and not their end.
            return Seen((_unanswered(settings.monitor.mysql, error.message),), of={CONNECTIONS})
        self._reach.note(url.host, True, now)
        before, self._before = self._before, load
        self._deadlocks = self._deadlocks.then(load)
        fsync = fsync_seconds(before, load)
        found = conditions(settings.monitor.mysql, load, self._deadlocks.count, fsync)
        # The server's own account need not see it: the database's host, which has [database], watches the rest.
        unseen = () if settings.database is None else (_unseen(load, url.user),)
        return Seen((*found, *unseen), tuple(_samples(load, fsync)))


def conditions(
    limits: MysqlLoadSettings, load: Load, deadlocks: int | None, fsync: float | None
) -> tuple[Condition, ...]:
    """What one look says; what the account may not see has no condition. `fsync`: mean seconds."""
    found = [_connections(limits, load)]
    if load.oldest_s is not None:
        found.append(_transaction(limits, load.oldest_s, load.oldest_id))
    if load.history is not None:
        found.append(_history(limits, load.history))
    if deadlocks is not None:
        found.append(_deadlocks(limits, deadlocks))
    if load.fsyncs is not None:
        found.append(_fsync(limits, fsync))
    return tuple(found)


def _connections(limits: MysqlLoadSettings, load: Load) -> Condition:
    most = f"{limits.connections_percent:g} %"
    return Condition(
        CONNECTIONS,
        100.0 * load.connections / max(1, load.most_connections),
        limits.connections_percent,
        measured_in="percent",
        for_seconds=limits.every,
        resolve_for=120.0,
        every=limits.every,
        because_of=(AWAY,),
        facts={"used": load.connections, "most": load.most_connections, "limit": most},
    )


def _transaction(limits: MysqlLoadSettings, oldest_s: float, connection: int) -> Condition:
    limit = format_duration(limits.long_transaction)
    return Condition(
        TRANSACTION,
        oldest_s,
        limits.long_transaction,
        measured_in="seconds",
        every=limits.every,
        facts={"age": format_duration(oldest_s), "limit": limit, "connection": connection},
    )


def _history(limits: MysqlLoadSettings, length: int) -> Condition:
    return Condition(
        HISTORY,
        float(length),
        float(limits.history_length),
        measured_in="count",
        for_seconds=_FOR_S,
        resolve_for=_FOR_S,
        every=limits.every,
        because_of=(TRANSACTION,),
        facts={"length": f"{length:,}", "limit": f"{limits.history_length:,}"},
    )


def _deadlocks(limits: MysqlLoadSettings, count: int) -> Condition:
    return Condition(
        DEADLOCKS,
        float(count),
        float(limits.deadlocks),
        measured_in="count",
        every=limits.every,
        facts={"count": count, "limit": limits.deadlocks},
    )


def _fsync(limits: MysqlLoadSettings, mean: float | None) -> Condition:
    return Condition(
        FSYNC,
        mean,
        limits.fsync,
        measured_in="seconds",
        for_seconds=_FOR_S,
        resolve_for=120.0,
        every=limits.every,
        facts={"mean": format_duration(mean or 0.0), "limit": format_duration(limits.fsync)},
        no_data="MySQL restarts between any two looks",
    )


def _unanswered(limits: MysqlLoadSettings, reason: str) -> Condition:
    facts = {"limit": f"{limits.connections_percent:g} %"}
    return Condition(CONNECTIONS, None, every=limits.every, because_of=(AWAY,), facts=facts, no_data=reason)


def _unseen(load: Load, user: str) -> Condition:
    grants = mysql_command("; ".join(f"GRANT {privilege} ON *.* TO '{user}'@'%'" for privilege in load.missing))
    facts = {"missing": ", ".join(load.missing), "grants": grants}
    return Condition(UNSEEN, float(bool(load.missing)), repeat_at_least=_SELDOM_S, facts=facts)


def _samples(load: Load, fsync: float | None) -> Iterator[Sample]:
    yield Sample("wbagent_mysql_connections", float(load.connections))
    yield Sample("wbagent_mysql_connections_limit", float(load.most_connections))
    if load.oldest_s is not None:
        yield Sample("wbagent_mysql_oldest_transaction_seconds", load.oldest_s)
    if load.history is not None:
        yield Sample("wbagent_mysql_history_length", float(load.history))
    if load.deadlocks is not None:
        yield Sample("wbagent_mysql_deadlocks_total", float(load.deadlocks))
    if fsync is not None:
        yield Sample("wbagent_mysql_fsync_seconds", fsync)
