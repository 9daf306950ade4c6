"""Whether a mysqld runs on a data directory."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from wbagent.errors import RestoreError

# mysqld does not start without them: 5.7 has the second only.
FIRST_FILES: Final = ("mysql.ibd", "ibdata1")


def refuse_running(directory: Path) -> None:
    """Raise RestoreError when a mysqld runs on the directory: InnoDB locks its first file, and has it open.

    The lock alone says nothing: CLONE LOCAL opens and closes that file, and with that the server's own lock on it is
    gone (fcntl(2): closing any descriptor of a file releases all the process's locks on it).
    """
    if (pid := _holder(directory)) is not None:
        raise _running(directory, f"process {pid} has its files open")
    with suppress(FileNotFoundError):
        descriptor = os.open(directory / "ibdata1", os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            raise _running(directory, "its first file is locked") from None
        finally:
            os.close(descriptor)


def _running(directory: Path, how: str) -> RestoreError:
    return RestoreError(
        f"a mysqld runs on {directory} ({how}); nothing was touched", hint="stop it first: systemctl stop mysql"
    )


def _holder(directory: Path) -> int | None:
    """A process that has one of the files open that every mysqld does; this user sees its own only, root all."""
    wanted = set()
    for name in FIRST_FILES:
        with suppress(OSError):
            found = (directory / name).stat()
            wanted.add((found.st_dev, found.st_ino))
    for descriptor in Path("/proc").glob("[0-9]*/fd/*") if wanted else ():
        with suppress(OSError):
            # Follows into other mount namespaces too: a container's files are these files.
            found = descriptor.stat()
            if (found.st_dev, found.st_ino) in wanted:
                return int(descriptor.parts[2])
    return None
