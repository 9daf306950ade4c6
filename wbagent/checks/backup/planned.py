"""What is configured about backups beside where and how: how long, when, for whom; and binary logs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from wbagent.binlog import lag
from wbagent.binlog.catalog import read_whole
from wbagent.binlog.gtid import GtidSet
from wbagent.binlog.lag import Report
from wbagent.bucket.open import open_store
from wbagent.checks.check import Finding, Subject, fail, note, passed, warn
from wbagent.config import Settings
from wbagent.config.model import BackupSettings
from wbagent.errors import AccessError, BucketError, StateError
from wbagent.quantities import format_duration
from wbagent.restore.history import Known
from wbagent.state import State
from wbagent.state_directory import state_directory

_GUIDE_DAYS: Final = 7
_DAY_S: Final = 86400.0


def switched_off(_: Subject) -> Finding:
    """[backup] enabled = false."""
    return warn(
        "backups are switched off on this host",
        needed="daily ones, here or on the database's host",
        remedy="[backup] enabled = true, unless the database's host makes them",
    )


def judge_retention(keep_days: int) -> Finding:
    """The guide's week."""
    if keep_days < _GUIDE_DAYS:
        return warn(
            f"backups are kept for {keep_days} days", needed=f"at least {_GUIDE_DAYS}", remedy="[backup] keep_days = 7"
        )
    return passed(f"backups are kept for {keep_days} days")


def judge_schedule(backup: BackupSettings) -> Finding:
    """Daily by itself; how soon a missing one is told."""
    late = format_duration(backup.fresh_within)
    if backup.fresh_within < _DAY_S:
        return note(
            f"daily at {backup.at}, and an alert when none is younger than {late}: that fires every day",
            remedy='[backup] fresh_within = "26h"',
        )
    return passed(f"daily at {backup.at}, and an alert when none is younger than {late}")


def judge_encryption(recipients: Sequence[str]) -> Finding:
    """[backup] encrypt_to."""
    if recipients:
        return passed(f"to {len(recipients)} age keys that are not on this host")
    return note(
        "backups are stored as they are: who can read the bucket can read them",
        remedy='[backup] encrypt_to = ["age1…"]  (age-keygen, on another machine)',
    )


def binary_logs(settings: Settings, clock: Callable[[], float]) -> Callable[[Subject], Finding]:
    """What the unit that stores them noted last, and whether that is in the store still."""

    def look(_: Subject) -> Finding:
        if not settings.backup.binlog.enabled:
            return judge_binary_logs(settings, None, clock())
        try:
            with State(read_only=True) as state:
                fact = state.get(lag.FACT)
            report = Report.from_json(fact.value) if fact else None
        except (AccessError, StateError) as error:
            return note(f"not looked at: {error.message}", remedy=error.hint)
        except (TypeError, KeyError, AttributeError):
            report = None
        found = judge_binary_logs(settings, report, clock())
        if report is None or found.verdict != "pass":
            return found
        with suppress(BucketError):
            # Whether it answers is a check of its own.
            store = open_store(settings.backup, state_directory(), impatient=True)
            stored = read_whole(store, settings.backup.owner)
            return judge_kept(found, Known.of(report).lost(stored.files), stored.unreadable)
        return found

    return look


def judge_kept(found: Finding, lost: GtidSet, unreadable: Sequence[str] = ()) -> Finding:
    """`lost`: transactions that were stored and are not there any more, which the unit itself would not see.

    `unreadable`: keys of records; without `lost` they are of older files, and later moments can be had.
    """
    if not lost and unreadable:
        return warn(
            f"what was stored before does not lead everywhere: the record {unreadable[-1]} cannot be read",
            needed="all that was stored",
            remedy="wbagent binlog status says which moments can be restored still",
        )
    if not lost:
        return found
    return fail(
        f"{len(lost)} transactions that were stored are gone from the store ({str(lost)[:200]})",
        needed="all that was stored",
        remedy="systemctl restart wbagent-binlog, which stores again what MySQL still has; then: wbagent backup run",
    )


def judge_binary_logs(settings: Settings, report: Report | None, now: float) -> Finding:
    """Whether any moment could be restored, up to now."""
    if settings.server is not None and settings.server.embedded and settings.database is None:
        return note("an embedded server's binary logs die with its volume", remedy="wbagent server externalize")
    if not settings.backup.binlog.enabled:
        return note(
            "work since the newest backup would be lost with the database",
            remedy="[backup.binlog] enabled = true; what MySQL needs for it: wbagent check database",
        )
    unit = "systemctl status wbagent-binlog"
    if report is None or report.stale(now):
        found = "nothing is stored yet" if report is None else f"the unit is gone; {report.line(now)}"
        return fail(found, needed="wbagent-binlog.service, which the agent starts", remedy=unit)
    if report.problem:
        return fail(report.line(now), needed="all of it stored", remedy=report.hint or unit)
    if report.gap and not report.covered:
        return fail(report.gap, needed="a backup that was made since", remedy="wbagent backup run")
    limit = settings.backup.binlog.lag_alert
    late = report.lag(now) > limit
    return (
        warn(report.line(now), needed=f"less than {format_duration(limit)}", remedy=unit)
        if late
        else passed(report.line(now))
    )
