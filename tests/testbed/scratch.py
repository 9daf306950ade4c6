"""A directory for one server's data, gone when the server is, also after a test that was killed."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.testbed.cache import locked, remove_tree

_PREFIX = "wbagent-scratch-"


@contextmanager
def scratch(name: str) -> Iterator[Path]:
    """Make a directory that any user may enter, and remove it at the end with all that servers wrote there.

    Directories of processes that died before they could remove them are removed on the way in.
    """
    with locked("scratch"):
        _sweep()
        directory = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{name}-"))
        # Held until this process ends, by whatever cause: not inherited by the servers.
        owner = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
        fcntl.flock(owner, fcntl.LOCK_EX)
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        remove_tree(directory)
        os.close(owner)


def _sweep() -> None:
    for directory in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        try:
            descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            # Its owner removes it at this moment.
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            remove_tree(directory)
        finally:
            os.close(descriptor)
