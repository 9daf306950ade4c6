"""What wbagent-drill.service does: choose a backup, prove it, record what was found, and tell."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path

from wbagent import events
from wbagent.age import Identity
from wbagent.alerts.ping import Ping, tell_backup
from wbagent.backup import drill_key
from wbagent.backup.catalog import Stored, find_backup, newest_first
from wbagent.backup.lease import lease
from wbagent.backup.lock import only_one_drill, restoring
from wbagent.backup.manifest import Manifest
from wbagent.backup.progress import Reporter
from wbagent.backup.proof import Proof, read_proof, write_proof
from wbagent.backup.pruning import tidy_after_proof
from wbagent.backup.standing import newest_proven
from wbagent.backup.stop import ended_in_order
from wbagent.bucket.open import open_store
from wbagent.bucket.store import NotAllowedError, Store
from wbagent.config import Settings
from wbagent.database.mysqld import NoServerProgramError, find_mysqld
from wbagent.drill import record
from wbagent.drill.choice import choose
from wbagent.drill.proving import damaged, prove
from wbagent.errors import BucketError, DamagedError, DrillError, RestoreError, WbagentError, foreseen
from wbagent.quantities import format_duration
from wbagent.restore.stored import StoredBackup
from wbagent.state import State
from wbagent.systemd import journal

Clock = Callable[[], float]


class DrillFailedError(DrillError):
    """A drill that began and failed; the journal and the state file have its reason already."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to drill: an id ("" is the newest that is not proven), and what decrypts it."""

    name: str = ""
    identity: Identity | None = None


def run_drill(
    settings: Settings, state: State, directory: Path, report: Reporter, order: Order, clock: Clock = time.time
) -> Proof | None:
    """Prove one backup; `directory` is the state directory. None when there is nothing to prove, or no mysqld here.

    Raises DrillFailedError when the backup is bad, which then has a proof.json that says so, and also when the drill
    could not be made: then nothing is recorded beside the backup. Either way nothing else is left behind.
    """
    with only_one_drill(directory):
        try:
            if settings.backup.drill.image is None:
                find_mysqld(settings.backup.drill.mysqld)
            store = open_store(settings.backup, directory, patient=True)
            with _limited(settings), restoring(directory):
                chosen = _choose(store, settings.backup.owner, order.name)
                if chosen is None:
                    journal.send("the newest backup is proven already, or there is none", level="debug")
                    return None
                manifest, proof = _drill(settings, store, chosen, order.identity, directory, report, clock)
        except NoServerProgramError as error:
            _tell_missing(state, error, clock())
            tell_backup(settings.alerts, Ping.SUCCESS, f"a backup is complete, and not proven: {error.message}")
            return None
        except Exception as problem:
            failure = foreseen(problem, DrillError)
            record.put_not_done(state, "not done", failure, clock())
            said = f"the drill could not be made, which says nothing about the backup: {failure.message}"
            _tell_failure(said, failure)
            raise DrillFailedError(f"no backup was proven: {failure.message}", hint=failure.hint) from problem
        record.put_proof(state, manifest, proof, clock())
        if not proof.ok and record.counts_as_proven(state, manifest):
            record.put_newest_proven(state, _newest_proven(store, manifest.owner))
        judged = _judged(proof, manifest)
        # One of long ago, which a person had drilled, does not say that backups are made.
        if clock() - manifest.finished_at.timestamp() <= settings.backup.fresh_within:
            tell_backup(settings.alerts, Ping.SUCCESS, f"backup {manifest.id} is proven")
        tidy_after_proof(store, settings.backup, state, directory, clock)
        return judged


def _limited(settings: Settings) -> AbstractContextManager[None]:
    return ended_in_order(settings.backup.drill.time_limit, "[backup.drill] time_limit", "wbagent-drill")


def _choose(store: Store, owner: str, name: str) -> Stored | None:
    if not name:
        return choose(newest_first(store, owner), lambda manifest: _is_proven(store, manifest))
    try:
        return Stored(name, "complete", 0, find_backup(store, owner, name))
    except DamagedError as error:
        found = next((each for each in newest_first(store, owner) if each.id == name), None)
        if found is None or found.manifest is None:
            raise
        return Stored(name, "damaged", 0, found.manifest, error.message)


def _newest_proven(store: Store, owner: str) -> tuple[Manifest, Proof] | None:
    """The newest backup that is proven still; None where there is none, or the store cannot tell."""
    with suppress(BucketError):
        return newest_proven(store, owner)
    return None


def _is_proven(store: Store, manifest: Manifest) -> bool:
    proof = read_proof(store, manifest)
    return proof is not None and proof.ok


def _drill(
    settings: Settings,
    store: Store,
    chosen: Stored,
    identity: Identity | None,
    directory: Path,
    report: Reporter,
    clock: Clock,
) -> tuple[Manifest, Proof]:
    """Prove it and write proof.json, good or bad. Raises WbagentError when the drill could not be made."""
    manifest = chosen.manifest
    if manifest is None:
        raise DamagedError(
            f"the commit record of backup {chosen.id} cannot be read: {chosen.reason}",
            hint="make another backup now: wbagent backup run; older ones: wbagent backup list",
        )
    if chosen.state == "damaged":
        proof = damaged(manifest, chosen.reason, clock())
    else:
        backup = StoredBackup(store, manifest, _identity(manifest, identity))
        with lease(store, manifest.owner, manifest.id, "drill", clock):
            proof = prove(backup, settings.backup, directory / "scratch", report, clock())
    try:
        write_proof(store, proof)
    except NotAllowedError as error:
        if proof.ok:
            raise
        # That it is bad has to be told whatever the key may do.
        journal.send(f"the failed proof cannot be stored: {error.message}", level="warning")
    if manifest.encryption and identity is None:
        # It has done what it was for; a drill that could not be made may be tried again with it.
        drill_key.forget(manifest.encryption.drill)
    return manifest, proof


def _identity(manifest: Manifest, given: Identity | None) -> Identity | None:
    """What opens an encrypted backup: what was given, or the one-time key made with it; raises RestoreError."""
    if given or manifest.encryption is None:
        return given
    own = drill_key.identity()
    if own is None or manifest.encryption.drill not in own.text:
        raise RestoreError(
            f"backup {manifest.id} is encrypted, and the one-time key for its drill is gone",
            hint="restore it elsewhere with your own key; the next backup is drilled again: wbagent backup run",
        )
    return own


def _judged(proof: Proof, manifest: Manifest) -> Proof:
    if not proof.ok:
        error = DamagedError(
            f"backup {manifest.id} is NOT a good one: {proof.reason}",
            hint="make another backup now: wbagent backup run; older ones: wbagent backup list",
        )
        _tell_failure(error.message, error)
        raise DrillFailedError(error.message, hint=error.hint) from error
    rows = sum(table.rows for table in proof.tables)
    compared = sum(1 for table in proof.tables if table.recorded is not None)
    into = f" into a container of {proof.image}" if proof.image else ""
    journal.send(
        f"backup {manifest.id} is proven: restored{into} in {format_duration(proof.duration_s)},"
        f" {len(proof.tables)} tables with {rows} rows read, {compared} of them held against recorded counts",
        message_id=events.DRILL_DONE,
        id=manifest.id,
        tables=len(proof.tables),
        rows=rows,
        duration=proof.duration_s,
    )
    for note in proof.notes:
        journal.send(f"backup {manifest.id}: {note}", level="warning", id=manifest.id)
    return proof


def _tell_missing(state: State, error: NoServerProgramError, now: float) -> None:
    """Once, not after each backup: the status shows it all the time."""
    level = "debug" if record.last_result(state) == "no mysqld" else "warning"
    record.put_not_done(state, "no mysqld", error, now)
    journal.send(
        f"backups are not proven: {error.message}\n  try: {error.hint}", level=level, message_id=events.DRILL_IMPOSSIBLE
    )


def _tell_failure(text: str, error: WbagentError) -> None:
    journal.send(text + (f"\n  try: {error.hint}" if error.hint else ""), level="error", message_id=events.DRILL_FAILED)
