"""A mysqld of our own for a while: on a data directory of the caller, behind a socket that nobody else reaches."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from pymysql import MySQLError

from wbagent.config.dsn import MysqlURL
from wbagent.database.facts import Version
from wbagent.database.mysqld import Mysqld, denial, last_lines, log_needs
from wbagent.database.process import Account, Blow, NoStartError, Running
from wbagent.errors import DamagedError, DatabaseError, RestoreError

_READY: Final = "ready for connections"
_LINES_KEPT: Final = 400
_STOP_S: Final = 1800.0
_LONGEST_SOCKET: Final = 107
_LAST_WORDS_S: Final = 60.0
# For its end to be seen, once a connection to it was lost.
_ENDING_S: Final = 3.0
# What a caller gets to see when the server is suddenly gone.
_MAY_FOLLOW: Final = (MySQLError, DatabaseError, RestoreError)
# Each of the settings that a data directory may ask for is tried once.
_MOST_STARTS: Final = 3
# Small and quiet, and nothing runs in it but what is sent to it. "loose": a release that does not know it goes on.
_OPTIONS: Final = (
    "--skip-networking",
    "--skip-log-bin",
    "--event-scheduler=OFF",
    "--loose-skip-replica-start",
    "--loose-skip-slave-start",
    "--loose-persisted-globals-load=OFF",
    "--loose-mysqlx=OFF",
    "--secure-file-priv=NULL",
    "--performance-schema=OFF",
    "--max-connections=16",
    "--table-open-cache=400",
    "--max-allowed-packet=1G",
    "--character-set-server=utf8mb4",
    # Certificates and keys are the operator's to make: none is to appear in a data directory that is handed over.
    "--loose-auto-generate-certs=OFF",
    "--loose-sha256-password-auto-generate-rsa-keys=OFF",
    "--loose-caching-sha2-password-auto-generate-rsa-keys=OFF",
    # What is half done after a crash is thrown away; an orderly end writes everything out.
    "--innodb-flush-log-at-trx-commit=0",
)


@dataclass(frozen=True, slots=True)
class Sizing:
    """Bytes of the buffer pool, and the seconds that a start may take (a crash recovery, an upgrade of the data).

    `disposable`: the data is thrown away afterwards, so the server is killed instead of stopped.
    """

    buffer_pool: int = 128 << 20
    start: float = 1800.0
    disposable: bool = False


class Instance:
    """A running mysqld; leaving the block stops it in order, or kills it when the block failed.

    `trusted`: everybody who reaches the socket may do everything (--skip-grant-tables), because the accounts in the
    data directory are another server's. `made_with`: settings that the data directory must be started with, by their
    names as options. Start it in the main thread: the kernel ends it together with that thread, so a killed caller
    leaves none behind. Beside `data` it has a directory for temporary files. Raises NoStartError and DatabaseError.
    """

    def __init__(
        self,
        program: Mysqld,
        data: Path,
        *,
        account: Account | None = None,
        trusted: bool = False,
        made_with: Mapping[str, str] | None = None,
        sizing: Sizing | None = None,
    ) -> None:
        self._program = program
        self._data = data
        self._account = account
        self._trusted = trusted
        self._sizing = sizing or Sizing()
        self._log: deque[str] = deque(maxlen=_LINES_KEPT)
        self._needs = dict(made_with or {})
        self._process: Running | None = None
        self._news = threading.Condition()
        self._ready = False
        self._reader: threading.Thread | None = None
        self._status = 0
        self._blow: Blow | None = None
        # Indexes of large tables are sorted in files: on the disk whose room was checked, not in /tmp.
        self._temporary = _directory(data.parent)
        # A socket's path has room for 107 bytes only, and the data directory's may be longer.
        short = len(self._temporary.name) <= _LONGEST_SOCKET - len("/socket.lock")
        self._own = self._temporary if short else _directory(None)
        self.socket = Path(self._own.name, "socket")

    def url(self, database: str = "") -> MysqlURL:
        """The way in, as root without a password."""
        return MysqlURL("root", "", "localhost", 3306, database, (("socket", str(self.socket)), ("tls", "false")))

    @property
    def log(self) -> tuple[str, ...]:
        """The newest lines of its error log."""
        return tuple(self._log)

    def crashed(self) -> bool:
        """Whether it ends by a fault of its own (an assertion about a broken page) and not by somebody's SIGKILL.

        To be asked when it does not answer any more: while it writes its last words, it still runs.
        """
        with suppress(NoStartError):
            self._wait(lambda: False, _LAST_WORDS_S)
        if not self._alive():
            self._ended()
        # It catches SIGABRT, writes its stack and exits with a status.
        return self._status not in {0, -signal.SIGKILL}

    @property
    def version(self) -> Version:
        """The program's version."""
        return self._program.version

    @property
    def version_text(self) -> str:
        """What the program says of itself."""
        return self._program.text

    @property
    def image(self) -> str:
        """The image of the container that it runs in, or ""."""
        return self._program.image

    def initialize(self) -> None:
        """Make the data directory a new server's, whose root has no password; raises NoStartError.

        This uses the instance up: enter another one to start the server.
        """
        try:
            self._run(["--initialize-insecure"])
            self._wait(lambda: False, self._sizing.start)
            if self._ended():
                raise self._failure("could not make a new data directory")
        finally:
            self._kill()
            self._clean_up()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            # Also Ctrl-C and a time limit: `__exit__` is not called for what was never entered.
            self._kill()
            self._clean_up()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if isinstance(error, _MAY_FOLLOW) and not isinstance(error, DamagedError):
                self._tell_struck(error)
            if error is not None or self._sizing.disposable:
                self._kill()
            else:
                self._stop()
        finally:
            self._clean_up()

    def _tell_struck(self, error: Exception) -> None:
        """Raise NoStartError instead of an error that merely follows from the server's end by somebody else's hand."""
        with suppress(NoStartError):
            self._wait(lambda: False, _ENDING_S)
        if not self._alive() and self._ended() in {0, -signal.SIGKILL}:
            raise self._failure("ended in the midst of it") from error

    def _start(self) -> None:
        for _ in range(_MOST_STARTS):
            self._run([f"--socket={self.socket}", f"--pid-file={self.socket}.pid"])
            self._wait(lambda: self._ready, self._sizing.start)
            if self._ready:
                return
            self._ended()
            needed = log_needs("\n".join(self._log))
            if needed.items() <= self._needs.items():
                break
            self._needs |= needed
        raise self._failure("did not start")

    def _stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._wait(lambda: False, _STOP_S)
        except DatabaseError:
            self._kill()
            raise
        if self._ended():
            raise self._failure("did not end in order")

    def _run(self, options: list[str]) -> None:
        if self._account is not None:
            for directory in (self._own.name, self._temporary.name):
                os.chown(directory, self._account.uid, self._account.gid)
        needs = [f"--{name}={value}" for name, value in self._needs.items()]
        if self._trusted:
            needs.append("--skip-grant-tables")
        command = [
            "--no-defaults",
            f"--datadir={self._data}",
            f"--tmpdir={self._temporary.name}",
            f"--innodb-buffer-pool-size={self._sizing.buffer_pool}",
            *_OPTIONS,
            *needs,
            *options,
        ]
        self._ready = False
        self._log.clear()
        self._process = self._program.run(command, self._data.parent, self._account)
        self._reader = threading.Thread(target=self._read, args=(self._process,), name="mysqld-log", daemon=True)
        self._reader.start()

    def _read(self, process: Running) -> None:
        for line in process.lines():
            with self._news:
                self._log.append(line.decode(errors="replace").rstrip())
                self._ready |= _READY in self._log[-1]
                self._news.notify_all()
        process.wait()
        with self._news:
            self._news.notify_all()

    def _wait(self, condition: Callable[[], bool], seconds: float) -> None:
        """Until the condition holds or the process has ended; raises NoStartError when time is up."""
        deadline = time.monotonic() + seconds
        with self._news:
            while not condition() and self._alive():
                # Woken by each line; asks now and then, for an end that came between two.
                self._news.wait(timeout=1.0)
                if time.monotonic() > deadline:
                    raise NoStartError(
                        f"mysqld takes longer than {seconds:g} s: {last_lines(list(self._log))}",
                        hint="look whether this host is overloaded, then run it again",
                        environmental=True,
                    )

    def _alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _ended(self) -> int:
        """Its exit status, now that it has ended and its log was read to the end."""
        if self._process is not None and self._reader is not None:
            self._status = self._process.wait()
            self._reader.join()
            self._blow = self._process.blow()
            self._process = None
        return self._status

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._ended()

    def _failure(self, what: str) -> NoStartError:
        text = "\n".join(self._log)
        here = not self._program.image
        denied = denial(
            text,
            str(self._data),
            apparmor=here and Path("/etc/apparmor.d/usr.sbin.mysqld").exists(),
            selinux=here and Path("/sys/fs/selinux/enforce").exists(),
        )
        full = "No space left" in text or "errno: 28" in text or "error 28" in text
        killed = self._status == -signal.SIGKILL
        said = "it was killed (SIGKILL)" if killed else last_lines(list(self._log)) or "it said nothing"
        hint = denied or "read its last lines; run it again to see whether it stays"
        if full or killed:
            hint = "make room on that disk" if full else "look whether memory ran out: journalctl -k -g oom"
        if self._blow is not None:
            words = last_lines(list(self._log), 1) or "none"
            said, hint = f"{self._blow.what}; mysqld's last words: {words}", self._blow.hint
        where = f"in {self._data}" if here else f"(in a container of {self._program.image})"
        return NoStartError(
            f"mysqld {what} {where}: {said}",
            hint=hint,
            environmental=bool(denied) or full or killed or self._blow is not None,
        )

    def _clean_up(self) -> None:
        self._own.cleanup()
        self._temporary.cleanup()


def _directory(parent: Path | None) -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="mysqld-", dir=parent, ignore_cleanup_errors=True)
