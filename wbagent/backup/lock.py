"""What must not happen at once on this host: two backups, and a restore while retention removes what it reads.

Locks of the kernel on files in the state directory: they are let go when their holder dies, however that comes about.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from wbagent.errors import BackupError, DrillError, StateError


@contextmanager
def only_one(state_directory: Path) -> Iterator[None]:
    """Be the only backup; raises BackupError when another one runs, StateError when the directory cannot be used."""
    with _locked(state_directory / "backup.lock") as held:
        if not held:
            raise BackupError(
                "another backup runs on this host", hint="watch it: systemctl status wbagent-backup.service"
            )
        yield


@contextmanager
def only_one_drill(state_directory: Path) -> Iterator[None]:
    """Be the only drill; raises DrillError when another one runs, StateError when the directory cannot be used."""
    with _locked(state_directory / "drill.lock") as held:
        if not held:
            raise DrillError("another drill runs on this host", hint="watch it: systemctl status wbagent-drill.service")
        yield


@contextmanager
def no_backup(state_directory: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Let no backup begin while tables may be altered, which would spoil it.

    Waits for one that runs; `waiting` is called before that. Raises StateError.
    """
    descriptor = _opened(state_directory / "backup.lock")
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def restoring(state_directory: Path) -> Iterator[None]:
    """Keep retention away while a backup is read; where there is no state directory, there is no retention either."""
    with ExitStack() as stack:
        with suppress(StateError):
            descriptor = _opened(state_directory / "restore.lock")
            stack.callback(os.close, descriptor)
            # Waits for a retention that is under way.
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield


@contextmanager
def nobody_restores(state_directory: Path) -> Iterator[bool]:
    """Whether no restore runs on this host; while the block lasts, none begins. Raises StateError."""
    with _locked(state_directory / "restore.lock") as held:
        yield held


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    descriptor = _opened(path)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def _opened(path: Path) -> int:
    try:
        # Reading is enough to lock it: user wbagent can lock a file that root made. A link is not followed: root comes
        # by here too, and the directory is that user's.
        return os.open(path, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StateError(
            f"{path} cannot be opened: {error.strerror}", hint="run as root: systemctl start wbagent-backup.service"
        ) from None
