"""The settings that W&B asks of MySQL: the value of each, how to compare it, since when it is there, how it is set."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from wbagent.database.facts import Version

GUIDE: Final = "MySQL"
NEWER_DOCS: Final = "W&B docs: MySQL"
# SET PERSIST came with 8.0; before, what is set lasts until the next restart, and only an option file is for ever.
PERSISTS_SINCE: Final = (8, 0, 0)


class Standing(StrEnum):
    """How a setting stands to what is wanted."""

    RIGHT = "right"
    # Good enough for the guide; W&B's newer documents ask for more.
    ENOUGH = "enough"
    WRONG = "wrong"
    # This release has no such setting: older than it, or one that has done away with it.
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Wanted:
    """One setting. Values are texts as MySQL shows them.

    `value` is what to set, `why` what comes of another one. `at_least`: a larger one is as good; else it must be the
    same. `better` is what W&B's newer documents want instead, "" for nothing else. `dynamic`: can be set while the
    server runs. `per_session`: connections that are open keep the old value. `loses`: with another value, what was
    committed can be lost or queries fail, so that it is no matter of taste. `line` is what an option file says instead
    of `name = value`.
    """

    name: str
    value: str
    why: str
    source: str = GUIDE
    at_least: bool = False
    better: str = ""
    since: Version = (5, 7, 0)
    dynamic: bool = True
    per_session: bool = False
    loses: bool = False
    line: str = ""

    def option_line(self, value: str = "") -> str:
        """The line for the section [mysqld] of an option file; `value` takes the place of the one to set."""
        return self.line or f"{self.name} = {value or self.value}"

    def statement(self, version: Version, value: str = "") -> str:
        """What sets it now and, since MySQL 8.0, for ever; "" for what only an option file and a restart can."""
        if not self.dynamic:
            return ""
        scope = "PERSIST" if version >= PERSISTS_SINCE else "GLOBAL"
        value = value or self.value
        # All texts among them are words of MySQL's (ROW, MINIMAL), which may stand without quotes.
        return f"SET {scope} {self.name} = {value};"

    def needs_line(self, version: Version) -> bool:
        """Whether it must stand in an option file to outlast a restart."""
        return not self.dynamic or version < PERSISTS_SINCE


# Seen in MySQL 9.7.4: which exist, which are read-only, which a session keeps (performance_schema.variables_metadata).
WANTED: Final = (
    Wanted(
        "log_bin",
        "ON",
        "without the binary log there is no standby, and a backup loses all that was written after it",
        dynamic=False,
        line="log_bin = binlog",
    ),
    Wanted(
        "binlog_format",
        "ROW",
        "statements replayed on a standby or in a restore need not give the same rows",
        per_session=True,
        loses=True,
    ),
    Wanted(
        "binlog_row_image",
        "MINIMAL",
        "each change of one column logs the whole row, JSON and all",
        per_session=True,
    ),
    Wanted(
        "sync_binlog",
        "1",
        "a crash of the host takes committed transactions from the binary log",
        loses=True,
    ),
    Wanted(
        "innodb_flush_log_at_trx_commit",
        "1",
        "a crash takes up to a second of committed transactions",
        loses=True,
    ),
    Wanted(
        "innodb_online_alter_log_max_size",
        "268435456",
        "a migration of W&B's server fails when more than this is written to a large table meanwhile",
        at_least=True,
    ),
    Wanted(
        "sort_buffer_size",
        "33554432",
        "sorting rows with long JSON fails with so little (Out of sort memory, 1038)",
        at_least=True,
        better="67108864",
        since=(8, 0, 28),
        per_session=True,
        loses=True,
    ),
    Wanted(
        "max_prepared_stmt_count",
        "1048576",
        "W&B's server prepares many statements, and at the limit its queries fail (1461)",
        source=NEWER_DOCS,
        at_least=True,
    ),
)


def standing(wanted: Wanted, current: str | None, version: Version) -> Standing:
    """How `current`, as SHOW GLOBAL VARIABLES shows it (None: not there), stands to what is wanted."""
    if current is None or version < wanted.since:
        return Standing.ABSENT
    if not _reaches(wanted, current, wanted.value):
        return Standing.WRONG
    if wanted.better and not _reaches(wanted, current, wanted.better):
        return Standing.ENOUGH
    return Standing.RIGHT


def _reaches(wanted: Wanted, current: str, value: str) -> bool:
    if wanted.at_least and current.isdecimal():
        return int(current) >= int(value)
    return current.upper() == value
