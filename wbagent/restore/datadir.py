"""Restores a backup into a data directory: started once to prove that it works, compared, and left for MySQL to take.

Everything is made in a directory within it whose name begins with a dot, and moved up when it is complete, the files
without which no mysqld starts last. So an interrupted restore is never taken for a data directory, and the next one
knows that what it finds is its own.
"""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

from wbagent.age import Identity
from wbagent.backup.catalog import find_backup
from wbagent.backup.lease import lease
from wbagent.backup.manifest import Manifest
from wbagent.backup.progress import Meter, Reporter
from wbagent.backup.reading import require_identity
from wbagent.bucket.store import Store
from wbagent.config.model import BackupSettings
from wbagent.database.connection import Connection, rows, session
from wbagent.database.facts import parse_version
from wbagent.database.instance import Instance, Sizing
from wbagent.database.mysqld import check_mysqld
from wbagent.database.process import Account, account_for
from wbagent.durable import sync_directory
from wbagent.errors import DamagedError, RestoreError, WbagentError
from wbagent.restore.compare import Comparison, Measure, differences
from wbagent.restore.filling import Filling
from wbagent.restore.programs import Programs
from wbagent.restore.run import Restored, tell_restored
from wbagent.restore.running import FIRST_FILES, refuse_running
from wbagent.restore.scratch import check_room, mount_point, room_needed
from wbagent.restore.stored import StoredBackup
from wbagent.restore.unpack import sync_tree

UNFINISHED: Final = ".wbagent-unfinished"
_NOTE: Final = "README"
# A new file system has the first; the second is what a directory is when a restore into it was interrupted.
_NOTHING: Final = frozenset({"lost+found"})
# Nothing else is to run here meanwhile.
_SIZING: Final = Sizing(buffer_pool=512 << 20)
# What it takes to go on in the history of the server that was cloned.
_GOES_ON: Final = {"gtid-mode": "ON", "enforce-gtid-consistency": "ON"}
_ONE_ANSWER_S: Final = 6 * 3600.0
# A session that waits for a roll-forward to end, which may take hours.
WAITS: Final = "SET SESSION wait_timeout = 31536000"

# What a data directory has at the top: one of the first two, and the third since the server's first start.
_MYSQLS: Final = frozenset({*FIRST_FILES, "auto.cnf"})

State = Literal["free", "unfinished", "occupied", "foreign"]


def state_of(names: Collection[str]) -> State:
    """What a directory with these names in it is to a restore.

    Invariant: "occupied" or "foreign" unless there is nothing in it, or the mark of a restore, which is made before
    anything else and removed after everything else. Nothing is ever removed from a "foreign" one, which no MySQL has
    started on: a mistaken path, such as /var/lib, must cost nothing.
    """
    if UNFINISHED in names:
        return "unfinished"
    if not set(names) - _NOTHING:
        return "free"
    return "occupied" if _MYSQLS & set(names) else "foreign"


def move_order(names: Collection[str]) -> list[str]:
    """The order in which what is complete is moved up: any shorter beginning of it is no data directory."""
    return sorted(names, key=lambda name: (FIRST_FILES.index(name) if name in FIRST_FILES else -1, name))


def restore_datadir(
    store: Store,
    backup: BackupSettings,
    name: str,
    directory: Path,
    report: Reporter,
    *,
    overwrite: bool = False,
    identity: Identity | None = None,
    checksums: bool = True,
    forward: Callable[[Instance], None] | None = None,
) -> Restored:
    """Restore backup `name` ("latest": the newest) of `backup.owner` into `directory`, where MySQL then starts on it.

    The directory must be absent, empty or what an interrupted restore left; with `overwrite` all that is in it is
    removed, after the backup's checksum was proven, if it is a data directory. `checksums` is as in `restore_backup`.
    Called by root, everything belongs to the directory's owner or else to user mysql. `forward` is called with the
    server on it once all is compared, while the directory is still marked as half restored. Raises RestoreError,
    DatabaseError, BucketError.
    """
    began = time.monotonic()
    manifest = find_backup(store, backup.owner, name)
    require_identity(manifest, identity)
    stored, programs = StoredBackup(store, manifest, identity), Programs(backup)
    warnings = _check_programs(programs, manifest)
    with lease(store, manifest.owner, manifest.id, "restore"):
        state, created = _look(directory, room_needed(manifest), overwrite=overwrite)
        try:
            account = account_for(directory)
            if state == "occupied":
                # Into an empty one, what is read is proven as it comes, and nothing is lost when it is not.
                stored.check(report)
            work = _begin(directory, account, f"backup {manifest.id} of {manifest.owner}, from {store.address}")
            options = _GOES_ON if forward is not None else {}
            filling = Filling(stored, programs, work, account, report, _SIZING, "nothing is left of it", options)
            result, gtid_executed = _fill(filling, work / "data", forward, checksums=checksums)
            _move_up(work, directory)
        except BaseException as error:
            begun = (directory / UNFINISHED).is_dir()
            _tidy(directory, created=created)
            if begun and isinstance(error, WbagentError):
                error.also(_left(directory, state), "" if isinstance(error, DamagedError) else "then run it again")
            elif begun:
                error.add_note(_left(directory, state))
            raise
    seconds = round(time.monotonic() - began, 3)
    tell_restored(manifest, str(directory), seconds)
    left = "half restored by an earlier run" if state == "unfinished" else ""
    return Restored(manifest, str(directory), created, result, seconds, left, gtid_executed, warnings)


def _check_programs(programs: Programs, manifest: Manifest) -> tuple[str, ...]:
    """Find out what is missing before anything is read, and return warnings; raises DatabaseError."""
    program = programs.mysqld(manifest)
    version = parse_version(manifest.server.version)
    warnings = check_mysqld(program, manifest.server.version, version, physical=manifest.engine == "clone")
    if manifest.engine == "mysqldump":
        programs.mysql(program.version)
    elif manifest.engine == "mydumper":
        programs.myloader()
    return warnings


def _look(directory: Path, needed: int, *, overwrite: bool) -> tuple[State, bool]:
    """What the directory is, and whether it was made; raises RestoreError when it cannot be used."""
    created = False
    try:
        if not directory.exists():
            directory.mkdir(mode=0o750)
            created = True
        names = _names(directory)
        state = state_of(names)
        if state == "foreign":
            raise RestoreError(
                f"{directory} is not empty ({len(names)} files and directories) and no data directory of MySQL: it has"
                f" none of {', '.join(sorted(_MYSQLS))}; nothing was touched",
                hint="name MySQL's own data directory, an empty directory, or one that does not exist",
            )
        if state == "occupied" and not overwrite:
            raise RestoreError(
                f"{directory} is not empty ({len(names)} files and directories); nothing was touched",
                hint="name an empty directory, or one that does not exist; --overwrite removes all that is in this one",
            )
        refuse_running(directory)
        freed = 0 if state == "free" else _size(directory)
        check_room(directory, max(needed - freed, 0))
    except OSError as error:
        raise RestoreError(
            f"{directory} cannot be used: {error.strerror}", hint="run as root, or name a directory of your own"
        ) from None
    except WbagentError:
        if created:
            directory.rmdir()
        raise
    return state, created


def _begin(directory: Path, account: Account | None, what: str) -> Path:
    """Mark the directory, remove what is in it, and return the room to work in, with an empty `data`."""
    work = directory / UNFINISHED
    if work.is_symlink():
        # Root is asked to remove what is in there, and the directory is another user's.
        raise RestoreError(f"{work} is a link; nothing was touched", hint=f"find out who made it, then: rm {work}")
    work.mkdir(mode=0o750, exist_ok=True)
    sync_directory(directory)
    for entry in directory.iterdir():
        if entry.name not in {UNFINISHED, *_NOTHING}:
            _remove(entry)
    for entry in work.iterdir():
        _remove(entry)
    (work / _NOTE).write_text(
        f"wbagent on {socket.gethostname()} restores {what} here and has not come to the end.\n"
        "Run the same command again: it begins anew. No MySQL starts on this directory before.\n"
    )
    (work / "data").mkdir(mode=0o750)
    if account is not None:
        for path in (directory, work, work / "data"):
            os.chown(path, account.uid, account.gid)
    return work


def _fill(
    filling: Filling, data: Path, forward: Callable[[Instance], None] | None, *, checksums: bool
) -> tuple[Comparison, str]:
    """Bring the backup up there, compare it, roll it forward; how they compare, and the transactions in it at last."""
    backup = filling.backup
    with filling.brought_up(data) as server, session(server.url(), read_timeout=_ONE_ANSWER_S) as connection:
        proof = backup.proof() if checksums else None
        measure = Measure(backup.manifest, proof, dumped=backup.manifest.engine != "clone")
        result = _compare(connection, server, measure, filling.report)
        if forward is not None:
            rows(connection, WAITS)
            forward(server)
        return result, executed(connection)


def executed(connection: Connection) -> str:
    """The set of transactions that a server holds; raises PyMySQL's errors."""
    ((gtids,),) = rows(connection, "SELECT @@GLOBAL.gtid_executed")
    return str(gtids).replace("\n", "")


def _compare(connection: Connection, server: Instance, measure: Measure, report: Reporter) -> Comparison:
    """Hold it against the measure; raises DamagedError."""
    manifest = measure.manifest
    meter = Meter("comparing", report)
    result = differences(connection, manifest.database.name, server.version, measure, meter)
    if result.wrong:
        raise DamagedError(
            f"backup {manifest.id} was restored, but differs: {'; '.join(result.wrong[:10])}",
            hint="try another backup (wbagent backup list)",
        )
    return result


def _move_up(work: Path, directory: Path) -> None:
    """Put what is complete in its place; interrupted anywhere, the mark is still there."""
    data = work / "data"
    try:
        sync_tree(data)
        for name in move_order(_names(data)):
            (data / name).rename(directory / name)
        sync_directory(directory)
        shutil.rmtree(work)
        sync_directory(directory)
    except OSError as error:
        raise RestoreError(
            f"{directory} cannot be written: {error.strerror}", hint=f"mend the disk: df {mount_point(directory)}"
        ) from None


def _left(directory: Path, before: State) -> str:
    """What the directory is now: it was tidied up, as far as that can be done."""
    if directory.exists() and state_of(_names(directory)) == "unfinished":
        return f"{directory} is half restored, and no MySQL starts on it"
    if before == "occupied":
        return f"what was in {directory} before is gone"
    return f"nothing is left in {directory}"


def _tidy(directory: Path, *, created: bool) -> None:
    """Leave as little as can be: everything in a marked directory is what was being made. The mark goes last."""
    with suppress(OSError):
        if (directory / UNFINISHED).is_dir() and not (directory / UNFINISHED).is_symlink():
            for entry in directory.iterdir():
                if entry.name not in {UNFINISHED, *_NOTHING}:
                    _remove(entry)
            shutil.rmtree(directory / UNFINISHED)
        if created:
            directory.rmdir()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _size(directory: Path) -> int:
    """Bytes that removing all below the directory gives back."""
    total = 0
    for path, _, names in os.walk(directory):
        total += sum(Path(path, name).lstat().st_blocks * 512 for name in names)
    return total


def _names(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]
