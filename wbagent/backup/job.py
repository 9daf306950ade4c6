"""One backup from beginning to end: dump, proof, commit record, retention, and what is told about it."""

from __future__ import annotations

import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wbagent import events
from wbagent.alerts.ping import Ping, tell_backup
from wbagent.backup import record
from wbagent.backup.catalog import newest_first
from wbagent.backup.lock import only_one
from wbagent.backup.making import Clock, Making, Origin, Previous
from wbagent.backup.manifest import Manifest
from wbagent.backup.progress import Reporter
from wbagent.backup.pruning import tidy_after_backup
from wbagent.backup.source import EmptyDatabaseError, Source
from wbagent.backup.stop import ended_in_order
from wbagent.backup.thinning import Thinned
from wbagent.bucket.nearness import same_machine
from wbagent.bucket.open import open_store
from wbagent.bucket.store import Store
from wbagent.config import Settings
from wbagent.config.dsn import MysqlURL
from wbagent.errors import EX_TEMPFAIL, BackupError, ConfigError, WbagentError, foreseen
from wbagent.monitor.backup_facts import LAST, LOADABLE
from wbagent.quantities import format_duration, format_size
from wbagent.state import State
from wbagent.systemd import journal

_STAGING: Final = "staging"
# From a request for a backup to its begin: the unit's start alone lies between.
_JUST_NOW_S: Final = 60.0


class NotYetError(BackupError):
    """There is nothing to back up yet, which is no failure; the state file has it."""

    exit_status = EX_TEMPFAIL


class BackupFailedError(BackupError):
    """A run that began and failed; the journal and the state file have its reason already."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run did; `address` is where the backup is."""

    manifest: Manifest
    address: str
    off_site: bool
    thinned: Thinned | None


def run_backup(
    settings: Settings, state: State, directory: Path, report: Reporter, clock: Clock = time.time
) -> Outcome:
    """Make one backup, then thin out the old ones; `directory` is the state directory.

    Raises ConfigError when there is nothing to do here, BackupError when another backup runs, NotYetError for an empty
    database that was never backed up, and BackupFailedError for whatever else kept the backup from being made: then
    there is no commit record, and nothing that was there before has been touched. The result is in the state file and
    in the journal either way.
    """
    origin = Origin(_database(settings), settings.files_socket(), _loadable(state, clock()))
    with only_one(directory):
        began = time.monotonic()
        try:
            store = open_store(settings.backup, directory, patient=True, paced=True)
            previous = _previous(state, settings)
            with ended_in_order(settings.backup.time_limit):
                making = Making(settings.backup, origin, store, directory / _STAGING, report, clock)
                source = _look(making, store, settings.backup.owner, state)
                # Not before: who hears of a begin waits for the end of it.
                tell_backup(settings.alerts, Ping.START)
                manifest = making.make(source, previous)
        except NotYetError as error:
            record.put_not_yet(state, error, clock())
            journal.send(error.message)
            raise
        except Exception as error:
            failure = foreseen(error, BackupError)
            record.put_failure(state, failure, clock())
            _tell_failure(failure, error, time.monotonic() - began)
            raise BackupFailedError(f"no backup was made: {failure.message}", hint=failure.hint) from error
        # An embedded server and its backup are on one machine until it is moved out, which its users are told anyway.
        beside = origin.files is None and same_machine(settings.backup.destination, origin.url)
        record.put_success(state, manifest, store, record.Circumstances(previous.by(manifest.engine), beside), clock())
        _tell(manifest, store, "read back and equal" if settings.backup.read_back else "not read back")
        if not settings.backup.drill.enabled:
            tell_backup(settings.alerts, Ping.SUCCESS, f"backup {manifest.id} is complete; drills are switched off")
        thinned = tidy_after_backup(store, settings.backup, state, directory, clock)
        return Outcome(manifest, store.address, store.off_site, thinned)


def _database(settings: Settings) -> MysqlURL:
    url = settings.database_url()
    if url is None or not settings.backup.enabled:
        raise ConfigError(
            "there is nothing to back up: neither [server] mysql nor [database] url is set"
            if url is None
            else "backups are switched off on this host ([backup] enabled = false)",
            hint="set it in /etc/wbagent.toml, then: wbagent config check",
        )
    return url


def _look(making: Making, store: Store, owner: str, state: State) -> Source:
    """What there is to back up; a database that is empty is not ready yet only where no backup says that it was not."""
    try:
        return making.look()
    except EmptyDatabaseError as error:
        if state.get(LAST) is not None or next(newest_first(store, owner), None) is not None:
            raise
        raise NotYetError(
            f"nothing to back up yet: the server has made no tables in the database {making.database!r}",
            hint="the agent tries again every 10 minutes; the tables come when the server starts: wbagent status",
        ) from error


def _tell_failure(failure: WbagentError, cause: Exception, duration: float) -> None:
    journal.send(
        f"no backup was made: {failure.message}" + (f"\n  try: {failure.hint}" if failure.hint else ""),
        level="error",
        message_id=events.BACKUP_FAILED,
        duration=round(duration, 3),
        reason=type(cause).__name__,
        traceback=None if failure is cause else "".join(traceback.format_exception(cause)),
    )


def _tell(manifest: Manifest, store: Store, proof: str) -> None:
    where = "" if store.off_site else " (on this host: not off-site)"
    files = f", {manifest.files.members} files of the embedded server" if manifest.files else ""
    journal.send(
        f"backup {manifest.id} is complete: {len(manifest.tables)} tables{files}, {format_size(manifest.plain_size)} as"
        f" {format_size(manifest.size)} in {format_duration(manifest.duration_s)}, {proof}, in"
        f" {store.address}{where}",
        message_id=events.BACKUP_DONE,
        id=manifest.id,
        size=manifest.size,
        plain_size=manifest.plain_size,
        duration=manifest.duration_s,
        tables=len(manifest.tables),
    )
    for warning in manifest.warnings:
        journal.send(f"backup {manifest.id}: {warning}", level="warning", id=manifest.id)


def _loadable(state: State, now: float) -> bool:
    asked = state.get(LOADABLE)
    return asked is not None and 0 <= now - asked.at < _JUST_NOW_S


def _previous(state: State, settings: Settings) -> Previous:
    last = state.get(LAST)
    if last is None or last.value.get("owner") != settings.backup.owner:
        return Previous()
    return Previous(str(last.value.get("engine", "")), int(last.value.get("plain_bytes", 0)))
