"""Restores a backup into an empty MySQL database, after its checksum was proven, and compares what came out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wbagent import events
from wbagent.age import Identity
from wbagent.backup.catalog import find_backup
from wbagent.backup.lease import lease
from wbagent.backup.manifest import Manifest
from wbagent.backup.progress import Meter, Reporter
from wbagent.backup.reading import require_identity
from wbagent.bucket.store import Store
from wbagent.config.dsn import MysqlURL
from wbagent.config.model import BackupSettings
from wbagent.database.connection import session
from wbagent.database.facts import Version
from wbagent.database.unfinished import unmark
from wbagent.errors import DamagedError, WbagentError
from wbagent.restore.compare import Comparison, Measure, differences
from wbagent.restore.filling import Filling
from wbagent.restore.programs import Programs
from wbagent.restore.scratch import check_room, scratch, unpacked_size
from wbagent.restore.stored import StoredBackup
from wbagent.restore.target import look, make_ready
from wbagent.state_directory import state_directory
from wbagent.systemd import journal

_ONE_ANSWER_S: Final = 6 * 3600.0


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did, and in `compared` what came out of holding it against commit record and proof.

    `replaced` is what an earlier, interrupted restore had left there, or ""; `gtid_executed` and
    `warnings` are told of a data directory only.
    """

    manifest: Manifest
    target: str
    created: bool
    compared: Comparison
    duration_s: float
    replaced: str = ""
    gtid_executed: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def tables(self) -> int:
        """How many were restored."""
        return len(self.manifest.tables)


def restore_backup(
    store: Store,
    backup: BackupSettings,
    name: str,
    target: MysqlURL,
    report: Reporter,
    *,
    identity: Identity | None = None,
    replacing: Callable[[], None] | None = None,
    forward: Callable[[], None] | None = None,
    overwrite: bool = False,
    checksums: bool = True,
) -> Restored:
    """Restore backup `name` ("latest": the newest) of `backup.owner` into the database that `target` names.

    The database must be empty, absent (then it is made with the character set and collation of the one that was backed
    up), or what an interrupted restore left. Everything is proven before anything is touched: the commit record, the
    stored object's size and SHA-256, that `identity` opens what is encrypted, programs, room, the target. With
    `overwrite` the database may hold anything: it is dropped and made anew; `replacing` means the same and is called
    before that. `forward` is called when all is compared, while the database is still marked as half restored.
    Afterwards every row is read and held against the checksums of the backup's proof, where it has one and they are
    comparable, unless `checksums` is False. Raises RestoreError, DatabaseError, BucketError.
    """
    began = time.monotonic()
    overwrite = overwrite or replacing is not None
    manifest = find_backup(store, backup.owner, name)
    require_identity(manifest, identity)
    stored = StoredBackup(store, manifest, identity)
    programs = Programs(backup)
    with ExitStack() as stack:
        stack.enter_context(lease(store, manifest.owner, manifest.id, "restore"))
        found = look(target, manifest, overwrite=overwrite)
        _check_programs(programs, manifest, found.server.version)
        room, account = Path(), None
        if manifest.engine != "mysqldump":
            # What is no SQL is unpacked first.
            for_mysqld = manifest.engine == "clone"
            room, account = stack.enter_context(scratch(state_directory() / "scratch", for_mysqld=for_mysqld))
            check_room(room, unpacked_size(manifest))
        else:
            # It goes into the target as it comes.
            stored.check(report)
        # A dump goes into the target as it is read, everything else is unpacked before there is one.
        damaged = "do not use the target database" if manifest.engine == "mysqldump" else "nothing was touched"
        filling = Filling(stored, programs, room, account, report, consequence=damaged)
        fill = stack.enter_context(filling.prepared())
        if replacing is not None:
            replacing()
        with _half_made(target):
            created = make_ready(target, found, stored, overwrite=overwrite)
        stack.enter_context(_half_restored(target))
        fill(target, found.server.version)
        measure = Measure(manifest, stored.proof() if checksums else None)
        result = _compare(target, found.server.version, measure, report)
        if forward is not None:
            forward()
        with session(target, database="") as connection:
            unmark(connection, target.database)
    seconds = round(time.monotonic() - began, 3)
    tell_restored(manifest, target.address, seconds)
    return Restored(manifest, target.address, created, result, seconds, found.half_restored)


def _compare(target: MysqlURL, version: Version, measure: Measure, report: Reporter) -> Comparison:
    """Hold the database against the measure; raises DamagedError."""
    with session(target, database="", read_timeout=_ONE_ANSWER_S) as connection:
        result = differences(connection, target.database, version, measure, Meter("comparing", report))
    if result.wrong:
        raise DamagedError(
            f"backup {measure.manifest.id} was loaded into {target.address}, but differs:"
            f" {'; '.join(result.wrong[:10])}",
            hint="do not use this database; try another backup (wbagent backup list)",
        )
    return result


@contextmanager
def _half_made(target: MysqlURL) -> Iterator[None]:
    """Let a person who ends it here know that the target may not be what it was."""
    try:
        yield
    except KeyboardInterrupt as end:
        end.add_note(f"{target.database} was being made anew, and what it held before may be gone")
        raise


@contextmanager
def _half_restored(target: MysqlURL) -> Iterator[None]:
    """Let whoever reads of a failure from here on know what the target is now."""
    try:
        yield
    except DamagedError:
        raise  # It says so itself, and nothing is to be run again.
    except WbagentError as error:
        error.also(_half(target), "then run the restore again: it begins anew")
        raise
    except KeyboardInterrupt as end:
        end.add_note(_half(target))
        raise


def _half(target: MysqlURL) -> str:
    return f"{target.database} is half restored, and marked so"


def tell_restored(manifest: Manifest, where: str, seconds: float) -> None:
    """Write to the journal that a restore is complete."""
    journal.send(
        f"restored backup {manifest.id} into {where}: {len(manifest.tables)} tables",
        message_id=events.RESTORE_DONE,
        id=manifest.id,
        tables=len(manifest.tables),
        duration=seconds,
    )


def _check_programs(programs: Programs, manifest: Manifest, target: Version) -> None:
    """Find out what is missing before anything is read; raises DatabaseError."""
    if manifest.engine == "mydumper":
        programs.myloader()
        return
    programs.mysql(target)
    if manifest.engine == "clone":
        program = programs.mysqld(manifest)
        programs.mysqldump(program.version)
