"""One backup at a time on this host: a lock file in the state directory, let go by the kernel when its holder dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wbagent.errors import BackupError, StateError


@contextmanager
def only_one(state_directory: Path) -> Iterator[None]:
    """Hold the lock; raises BackupError when another backup runs, StateError when the directory cannot be used."""
    path = state_directory / "backup.lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        raise StateError(
            f"{path} cannot be opened: {error.strerror}", hint="run as root: systemctl start wbagent-backup.service"
        ) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupError(
                "another backup runs on this host", hint="watch it: systemctl status wbagent-backup.service"
            ) from None
        yield
    finally:
        os.close(descriptor)
