"""Runs MySQL's own `mysql` program and feeds it a dump: its exit status and its complaints decide."""

from __future__ import annotations

import os
import re
import select
import subprocess
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from wbagent.child import Complaints, how_it_ended
from wbagent.config.dsn import MysqlURL
from wbagent.database.clients import ClientProgram
from wbagent.database.options_file import start_program
from wbagent.errors import RestoreError
from wbagent.systemd import journal

# What writes to it sees a broken pipe a moment before its end can be seen.
_NOTICE_S: Final = 5.0
# Longer than any statement of a dump takes, of a MiB of rows at most, on a server that is well.
_SILENT_S: Final = 20
_CODE: Final = re.compile(r"ERROR (\d+)")
# A server that went away or is short of something (disk, memory, time), and rights that the account lacks.
_NOT_THE_DUMP: Final = frozenset(
    {"2002", "2003", "2006", "2013", "2026", "2055", "1021", "1037", "1038", "1041", "1044", "1045", "1053", "1114",
     "1142", "1153", "1205", "1206", "1227", "1419", "1026", "1030", "3675"}
)  # fmt: skip
# Whatever number the server gives it.
_FULL: Final = re.compile(r"No space left|disk is full|is full\b")
# A server whose binary log has no room ends itself (binlog_error_action).
_SEE_ITS_LOG: Final = "see the error log of the target's server: a full disk ends it, and want of memory too"
_HINTS: Final = {
    "2006": _SEE_ITS_LOG,
    "2013": _SEE_ITS_LOG,
    # What a connection with TLS says of the same.
    "2026": _SEE_ITS_LOG,
    "1227": "restore as an administrator: the dump holds objects of other definers (SET_ANY_DEFINER)",
    "1419": "restore as an administrator, or SET GLOBAL log_bin_trust_function_creators = 1",
    "1044": "GRANT ALL on the target database to the account in --into",
    "1142": "GRANT ALL on the target database to the account in --into",
    "1153": "SET GLOBAL max_allowed_packet = 1073741824 on the target server",
    "1114": "make room on the disk of the target's server",
    "3675": "make room on the disk of the target's server",
}


class LoadError(RestoreError):
    """The statements were not executed to their end; `environmental`: not because of what they say."""

    def __init__(self, message: str, *, hint: str, environmental: bool) -> None:
        super().__init__(message, hint=hint)
        self.environmental = environmental


class Load:
    """A running `mysql` that executes what is written to it; leaving the block ends it if it still runs."""

    def __init__(self, client: ClientProgram, target: MysqlURL) -> None:
        options = [
            "--batch",
            # Also keeps the client's own commands, such as `system`, from being taken out of the data.
            "--binary-mode",
            "--default-character-set=utf8mb4",
            "--max-allowed-packet=1G",
            f"--database={target.database}",
        ]
        self._process = start_program(client.path, target, options, stdin=subprocess.PIPE)
        self._complaints = Complaints(self._process.stderr, "mysql")
        self._told = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            # Killed before its input ends: an end would look to it like the end of the dump.
            self._process.kill()
        self._process.wait()
        self._complaints.close()
        if self._process.stdin:
            with suppress(BrokenPipeError):
                self._process.stdin.close()

    def write(self, data: bytes) -> None:
        """Give it the next statements; raises RestoreError with its reason when it has ended."""
        descriptor, rest = self.descriptor(), memoryview(data)
        os.set_blocking(descriptor, False)
        try:
            while rest:
                self._wait_until_taken(descriptor)
                rest = rest[os.write(descriptor, rest) :]
        except BrokenPipeError:
            self.finish()
            return
        # A program that writes to it by itself wants to be kept waiting.
        os.set_blocking(descriptor, True)

    def _wait_until_taken(self, descriptor: int) -> None:
        """Return when it takes something; what keeps it from that for long is told once."""
        poll = select.poll()
        poll.register(descriptor, select.POLLOUT)
        while not poll.poll(_SILENT_S * 1000):
            self._tell_silence()

    def _tell_silence(self) -> None:
        if not self._told:
            self._told = True
            journal.send(
                f"the target's server has done nothing for {_SILENT_S} s: it is busy, or waits for room on its disk"
                " (its error log says so), and goes on then",
                level="warning",
            )

    def descriptor(self) -> int:
        """Its input, for a program that writes to it by itself behind what was written so far."""
        return self._process.stdin.fileno() if self._process.stdin else -1

    def check(self) -> None:
        """Raise RestoreError with its reason when it has ended before its input did."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_NOTICE_S)
            self.finish()

    def finish(self) -> None:
        """End its input and wait for it; raises RestoreError unless it executed everything."""
        broken = False
        if self._process.stdin:
            try:
                self._process.stdin.close()
            except BrokenPipeError:
                broken = True
        try:
            status = self._process.wait(_SILENT_S)
        except subprocess.TimeoutExpired:
            self._tell_silence()
            status = self._process.wait()
        said = "; ".join(line.strip() for line in self._complaints.text().splitlines())
        if status == 0 and not broken:
            return
        code = _CODE.search(said)
        hint = _HINTS.get(code[1] if code else "", "mend what it says")
        raise LoadError(
            f"mysql {how_it_ended(status)}: {said[:600] or 'and said nothing'}",
            hint=hint,
            environmental=code is None or code[1] in _NOT_THE_DUMP or _FULL.search(said) is not None,
        )
