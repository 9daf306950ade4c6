"""Retention from end to end: what is stored and proven, what the policy says, what is removed, what is noted."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from wbagent import events
from wbagent.backup import record
from wbagent.backup.binlogs import position_of
from wbagent.backup.catalog import Stored, committed, read_catalog
from wbagent.backup.lease import leased
from wbagent.backup.lock import nobody_restores, only_one
from wbagent.backup.making import Clock
from wbagent.backup.retention import Policy, Verdict, decide
from wbagent.backup.standing import weighed
from wbagent.backup.thinning import Thinned, thin_out
from wbagent.binlog.retention import sweep, thin_out_binlogs
from wbagent.bucket.open import open_store
from wbagent.bucket.store import NotAllowedError, Store
from wbagent.config.model import BackupSettings
from wbagent.errors import BackupError, BucketError, StateError, WbagentError
from wbagent.monitor.backup_facts import DRILL, why_unproven_count
from wbagent.state import State
from wbagent.systemd import journal

_IN_USE: Final = "a restore on this host reads one at this moment; the next backup does it"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is stored for the owner, and a verdict for each of it."""

    catalog: tuple[Stored, ...]
    verdicts: tuple[Verdict, ...]


def plan(store: Store, backup: BackupSettings, state: State | None, now: datetime) -> Plan:
    """Look, and decide; nothing is touched. `state` None: nothing is known of drills here. Raises BucketError."""
    catalog = read_catalog(store, backup.owner)
    known = [found for each in catalog if (found := weighed(store, backup.owner, each))]
    return Plan(catalog, decide(known, policy(backup, state), now, leased(store, backup.owner, now)))


def policy(backup: BackupSettings, state: State | None) -> Policy:
    """The policy that [backup] sets; whether drills can be made here is known from `state`. Raises StateError."""
    drill = state.get(DRILL) if state else None
    # A run that is still going on is never taken for a dead one, whatever its time limit.
    patience = max(timedelta(days=1), timedelta(seconds=2 * backup.time_limit))
    return Policy(
        backup.keep_days,
        backup.keep_at_least,
        backup.keep_weekly,
        backup.keep_monthly,
        why_unproven_count(backup, drill.value if drill else {}),
        patience,
    )


def prune(backup: BackupSettings, state: State, directory: Path, clock: Clock) -> Thinned:
    """Remove what has had its time, as a backup does after its success; `directory` is the state directory.

    Raises BackupError while a backup or a restore runs on this host, BucketError, StateError.
    """
    with only_one(directory):
        thinned = tidy(open_store(backup, directory), backup, state, directory, clock)
    if thinned.refusal == _IN_USE:
        raise BackupError(f"nothing was removed: {_IN_USE}", hint="try again when the restore is over")
    return thinned


def tidy_after_backup(
    store: Store, backup: BackupSettings, state: State, directory: Path, clock: Clock
) -> Thinned | None:
    """Retention after a backup; None when it failed, which is told: the backup is made all the same."""
    try:
        return tidy(store, backup, state, directory, clock)
    except (BucketError, StateError) as error:
        text = f"old backups were not thinned out: {error.message}"
        journal.send(text, level="warning", message_id=events.RETENTION_DONE)
        return None


def tidy(store: Store, backup: BackupSettings, state: State, directory: Path, clock: Clock) -> Thinned:
    """Retention by the holder of the backup lock, and the listing in the state file; raises BucketError, StateError."""
    now = datetime.fromtimestamp(clock(), UTC)
    with nobody_restores(directory) as free:
        planned = plan(store, backup, state, now)
        if free:
            thinned = thin_out(store, backup.owner, planned.verdicts, now)
        else:
            thinned = Thinned((), refusal=_IN_USE, verdicts=planned.verdicts)
            journal.send(f"old backups were not thinned out: {_IN_USE}", message_id=events.RETENTION_DONE)
    left = [each for each in planned.catalog if each.id not in thinned.removed]
    record.put_list(state, left, clock())
    if free:
        # A restore elsewhere holds a lease on its backup, which is therefore among those that are left.
        _thin_out_binlogs(store, backup, left, now)
    _warn_of_others(left, backup.owner)
    return thinned


def _thin_out_binlogs(store: Store, backup: BackupSettings, left: list[Stored], now: datetime) -> None:
    """Binary logs follow the oldest backup that is left; a failure of theirs is told, and undoes nothing."""
    try:
        done = thin_out_binlogs(store, backup.owner, [position_of(each.manifest) for each in left if each.manifest])
        if backup.read_back:
            # Keys that may only write leave this to the bucket's lifecycle rules too.
            with suppress(NotAllowedError):
                sweep(store, backup.owner, now.timestamp())
    except WbagentError as error:
        text = f"old binary logs were not thinned out: {error.message}"
        journal.send(text, level="warning", message_id=events.RETENTION_DONE)
        return
    if done.removed:
        text = f"removed {len(done.removed)} binary log files that no backup needs"
        journal.send(text, message_id=events.RETENTION_DONE)
    if done.due:
        text = f"{len(done.due)} binary log files have had their time, but may not be removed: {done.refusal}"
        journal.send(text, level="warning", message_id=events.RETENTION_DONE)


def _warn_of_others(catalog: list[Stored], owner: str) -> None:
    hosts = {each.host for each in committed(tuple(catalog))}
    if len(hosts) > 1:
        journal.send(
            f"{len(hosts)} hosts back up as owner {owner!r} ({', '.join(sorted(hosts))}): they thin out each other's"
            " backups; give each its own [backup] owner",
            level="warning",
        )
