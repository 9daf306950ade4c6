"""A mysqld as a process: what whoever starts one needs of it, and the one that is a child of this process."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from wbagent.database import tied
from wbagent.database.options_file import environment
from wbagent.errors import DatabaseError


class NoStartError(DatabaseError):
    """mysqld did not start on the data directory; `environmental`: because of this host, not because of the data."""

    def __init__(self, message: str, *, hint: str, environmental: bool) -> None:
        super().__init__(message, hint=hint)
        self.environmental = environmental


@dataclass(frozen=True, slots=True)
class Account:
    """The user and group that mysqld runs as."""

    uid: int
    gid: int


def account_for(directory: Path) -> Account | None:
    """Who runs mysqld: the caller (None) or, when root calls, the directory's owner or else user mysql.

    Raises DatabaseError when there is neither: mysqld does not run as root.
    """
    if os.geteuid() != 0:
        return None
    status = directory.stat()
    if status.st_uid != 0:
        return Account(status.st_uid, status.st_gid)
    try:
        entry = pwd.getpwnam("mysql")
    except KeyError:
        raise DatabaseError(
            f"mysqld does not run as root, {directory} is root's, and this host has no user mysql",
            hint=f"chown the directory to the user that is to run MySQL: chown USER: {directory}",
        ) from None
    return Account(entry.pw_uid, entry.pw_gid)


@dataclass(frozen=True, slots=True)
class Blow:
    """What ended a mysqld from outside, as a sentence, and what to do about it: it says nothing about the data."""

    what: str
    hint: str


class Running(Protocol):
    """A mysqld that was started. Statuses are those of subprocess: negative for a signal."""

    def lines(self) -> Iterator[bytes]:
        """Its error log as it comes, up to its end. To be read by one thread, or it stops at some time."""

    def poll(self) -> int | None:
        """Its exit status, None while it runs."""

    def wait(self) -> int:
        """Its exit status, once it has ended and `lines` has too."""

    def terminate(self) -> None:
        """Ask it to end in order."""

    def kill(self) -> None:
        """End it at once; `wait` then does not take long."""

    def blow(self) -> Blow | None:
        """What is known to have ended it from outside, beyond its exit status."""


class Child:
    """A mysqld that the kernel ends together with the thread that started it; raises NoStartError."""

    def __init__(self, path: str, options: Sequence[str], account: Account | None) -> None:
        uid, gid = (account.uid, account.gid) if account else (0, 0)
        command = [sys.executable, "-I", "-S", tied.__file__, str(uid), str(gid), str(os.getpid()), path, *options]
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=environment(),
                # Ctrl-C on the terminal is for this process, which then ends it.
                process_group=0,
            )
        except OSError as error:
            raise NoStartError(
                f"{command[0]} cannot be run: {error.strerror}", hint="is Python installed?", environmental=True
            ) from None

    def lines(self) -> Iterator[bytes]:
        """See `Running`."""
        if self._process.stderr is not None:
            with self._process.stderr as lines:
                yield from lines

    def poll(self) -> int | None:
        """See `Running`."""
        return self._process.poll()

    def wait(self) -> int:
        """See `Running`."""
        return self._process.wait()

    def terminate(self) -> None:
        """See `Running`."""
        self._process.terminate()

    def kill(self) -> None:
        """See `Running`."""
        self._process.kill()

    def blow(self) -> Blow | None:
        """Nothing: the exit status says it all."""
        return None
