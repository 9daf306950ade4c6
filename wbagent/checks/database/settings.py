"""MySQL's settings: those that W&B asks for, the binary log's, and how large it may grow."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from wbagent.checks.check import Finding, fail, note, passed, warn
from wbagent.checks.database.look import Look
from wbagent.config import Settings
from wbagent.database.facts import Version
from wbagent.database.wanted import GUIDE, PERSISTS_SINCE, WANTED, Standing, Wanted, standing
from wbagent.quantities import format_duration, format_size

_TUNE: Final = "wbagent database tune"
# MySQL rounds a pool up to whole pieces of this (innodb_buffer_pool_chunk_size); whole ones are easier to read, too.
_PIECE: Final = 128 << 20
# One step at a time, as MySQL wants it (1788).
_GTID_ON: Final = (
    ("enforce_gtid_consistency", "ON"),
    ("gtid_mode", "OFF_PERMISSIVE"),
    ("gtid_mode", "ON_PERMISSIVE"),
    ("gtid_mode", "ON"),
)
_MONTH_S: Final = 30 * 86400
_AUTO_PURGE_SINCE: Final = (8, 0, 29)
_EXPIRY_IN_SECONDS_SINCE: Final = (8, 0, 1)


def wanted(look: Look) -> Iterable[Finding]:
    """Each setting that the guide and W&B's newer documents ask for."""
    for each in WANTED:
        current = look.variables.get(each.name)
        found = standing(each, current, look.server.version)
        if found is not Standing.ABSENT and current is not None:
            yield _one(each, current, found, look)


def _one(each: Wanted, current: str, found: Standing, look: Look) -> Finding:
    version = look.server.version
    if found is Standing.WRONG:
        say = fail if each.loses else warn
        return say(
            f"{_shown(each, current)}: {each.why}",
            needed=f"{_shown(each, each.value, at_least=each.at_least)}{_source(each)}; {_when(each)}",
            remedy=_remedy(each, look, each.value),
            about=each.name,
        )
    if each.name in look.passing:
        return note(
            f"{_shown(each, current)}, set while the server ran and not persisted: a restart may take it back",
            remedy=_remedy(each, look, current),
            about=each.name,
        )
    if found is Standing.ENOUGH:
        return note(
            f"{_shown(each, current)}: enough for the guide; W&B's newer documents recommend"
            f" {_shown(each, each.better)}",
            remedy=f"{_TUNE} --newer; or as an administrator: {each.statement(version, each.better)}",
            about=each.name,
        )
    return passed(_shown(each, current), about=each.name)


def _shown(each: Wanted, value: str, *, at_least: bool = False) -> str:
    size = f" ({format_size(int(value))})" if each.name.endswith("_size") and value.isdecimal() else ""
    return f"{'at least ' if at_least else ''}{value}{size}"


def _source(each: Wanted) -> str:
    """Who asks for it, where that is not the guide, as the check says of all."""
    return "" if each.source == GUIDE else f" ({each.source})"


def _when(each: Wanted) -> str:
    if not each.dynamic:
        return "needs a restart of MySQL"
    return "without a restart" + (", for connections that are opened afterwards" if each.per_session else "")


def _remedy(each: Wanted, look: Look, value: str) -> str:
    statement = each.statement(look.server.version, value)
    line = f"the line `{each.option_line(value)}` below [mysqld] in my.cnf"
    if not statement:
        return f"{_TUNE}; or {line}, then restart MySQL"
    return f"{_TUNE}; or as an administrator: {statement}" + (
        f" and {line}" if each.needs_line(look.server.version) else ""
    )


def binary_log(look: Look, settings: Settings) -> Iterable[Finding]:
    """GTIDs, and how long the binary logs are kept."""
    if not look.server.binary_log:
        return
    yield _gtid(look, settings)
    yield _expiry(look, settings)


def _gtid(look: Look, settings: Settings) -> Finding:
    mode = look.variables.get("gtid_mode", "OFF")
    if mode == "ON":
        return passed("ON", about="gtid_mode")
    if settings.backup.binlog.enabled:
        return fail(
            f"{mode}: [backup.binlog] cannot store the binary logs",
            needed="ON; without a restart",
            remedy=setting(look.server.version, *_GTID_ON),
            about="gtid_mode",
        )
    if settings.standby is not None:
        return warn(
            f"{mode}: the standby's lag cannot be told, and a failover must count file positions",
            needed="ON; without a restart, step by step, first on the standby",
            remedy=setting(look.server.version, *_GTID_ON),
            about="gtid_mode",
        )
    return note(
        f"{mode}: restores to a moment, and an easy failover, need it",
        remedy=setting(look.server.version, *_GTID_ON),
        about="gtid_mode",
    )


def _expiry(look: Look, settings: Settings) -> Finding:
    days = int(look.variables.get("expire_logs_days", "0")) * 86400
    seconds = int(look.variables.get("binlog_expire_logs_seconds", "0")) or days
    about = "binlog_expire_logs_seconds"
    kept_for_ever = seconds == 0 or look.variables.get("binlog_expire_logs_auto_purge") == "OFF"
    if kept_for_ever:
        return warn(
            "binary logs are kept for ever and fill the disk",
            needed="a limit, such as the default of 30 days; without a restart",
            remedy=_expire(look.server.version),
            about=about,
        )
    shortest = settings.backup.fresh_within
    if seconds < shortest:
        return warn(
            f"binary logs are kept for {format_duration(seconds)}: less than from one backup to the next",
            needed=f"at least {format_duration(shortest)}; without a restart",
            remedy=_expire(look.server.version),
            about=about,
        )
    return passed(f"binary logs are kept for {format_duration(seconds)}", about=about)


def connections(look: Look, settings: Settings) -> Finding:
    """Whether max_connections was ever nearly reached since MySQL started; the alert's own limit."""
    most, peak = int(look.variables["max_connections"]), int(look.status.get("Max_used_connections", "0"))
    found = f"at most {peak} of {most} connections were in use since MySQL started"
    limit = settings.monitor.mysql.connections_percent
    if 100 * peak < limit * most:
        return passed(found)
    return warn(
        found,
        needed=f"a peak below {limit:g} %; without a restart",
        remedy="find out who holds them (SHOW PROCESSLIST), or: "
        + setting(look.server.version, ("max_connections", str(2 * most))),
    )


def buffer_pool(look: Look) -> Finding:
    """innodb_buffer_pool_size against the database and, where MySQL runs here, the memory of this host."""
    pool, size = int(look.variables["innodb_buffer_pool_size"]), look.database.size if look.database else 0
    found = f"{format_size(pool)} for a database of {format_size(size)}"
    if look.memory:
        found += f", on a host with {format_size(look.memory)} of memory"
        if pool > 0.8 * look.memory:
            return warn(
                found,
                needed="less than 80 % of the memory, or the host swaps or kills MySQL; without a restart",
                remedy=_pool(look.server.version, look.memory // 2),
            )
    if size <= pool:
        return passed(found)
    best = _rounded(min(size * 5 // 4, look.memory // 2) if look.memory else size * 5 // 4)
    if best <= pool:
        return passed(found)
    return note(
        f"{found}: what does not fit is read from the disk",
        needed=f"{format_size(best)}, as far as the memory of MySQL's host has it (half of it at most beside others);"
        " without a restart",
        remedy=_pool(look.server.version, best),
    )


def _rounded(size: int) -> int:
    return max(1, size // _PIECE) * _PIECE


def _pool(version: Version, size: int) -> str:
    return setting(version, ("innodb_buffer_pool_size", str(_rounded(size))))


def _expire(version: Version) -> str:
    if version < _EXPIRY_IN_SECONDS_SINCE:
        return setting(version, ("expire_logs_days", str(_MONTH_S // 86400)))
    purge = (("binlog_expire_logs_auto_purge", "ON"),) if version >= _AUTO_PURGE_SINCE else ()
    return setting(version, ("binlog_expire_logs_seconds", str(_MONTH_S)), *purge)


def setting(version: Version, *values: tuple[str, str]) -> str:
    """How an administrator sets dynamic variables for ever, in this order."""
    if version >= PERSISTS_SINCE:
        return " ".join(f"SET PERSIST {name} = {value};" for name, value in values)
    statements = " ".join(f"SET GLOBAL {name} = {value};" for name, value in values)
    lines = ", ".join(f"`{name} = {value}`" for name, value in dict(values).items())
    return f"{statements} and below [mysqld] in my.cnf {lines}"
