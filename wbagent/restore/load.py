"""Runs MySQL's own `mysql` program and feeds it a dump: its exit status and its complaints decide."""

from __future__ import annotations

import re
import subprocess
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from wbagent.child import Complaints, how_it_ended
from wbagent.config.dsn import MysqlURL
from wbagent.database.clients import ClientProgram
from wbagent.database.options_file import environment, options_file
from wbagent.errors import RestoreError

# What writes to it sees a broken pipe a moment before its end can be seen.
_NOTICE_S: Final = 5.0
_CODE: Final = re.compile(r"ERROR (\d+)")
_AGAIN: Final = "then run the restore again: it begins anew"
# A server that went away or is short of something (disk, memory, time), and rights that the account lacks.
_NOT_THE_DUMP: Final = frozenset(
    {"2002", "2003", "2006", "2013", "1021", "1037", "1038", "1041", "1044", "1045", "1053", "1114", "1142", "1153",
     "1205", "1206", "1227", "1419", "1026", "1030", "3675"}
)  # fmt: skip
# Whatever number the server gives it.
_FULL: Final = re.compile(r"No space left|disk is full|is full\b")
_HINTS: Final = {
    "1227": "restore as an administrator: the dump holds objects of other definers (SET_ANY_DEFINER)",
    "1419": "restore as an administrator, or SET GLOBAL log_bin_trust_function_creators = 1",
    "1044": "GRANT ALL on the target database to the account in --into",
    "1142": "GRANT ALL on the target database to the account in --into",
    "1153": "SET GLOBAL max_allowed_packet = 1073741824 on the target server",
    "1114": "make room on the target server's disk",
    "3675": "make room on the target server's disk",
}


class LoadError(RestoreError):
    """The statements were not executed to their end; `environmental`: not because of what they say."""

    def __init__(self, message: str, *, hint: str, environmental: bool) -> None:
        super().__init__(message, hint=hint)
        self.environmental = environmental


class Load:
    """A running `mysql` that executes what is written to it; leaving the block ends it if it still runs."""

    def __init__(self, client: ClientProgram, target: MysqlURL) -> None:
        with options_file(target) as (descriptor, argument):
            self._process = subprocess.Popen(
                [
                    client.path,
                    argument,
                    "--batch",
                    # Also keeps the client's own commands, such as `system`, from being taken out of the data.
                    "--binary-mode",
                    "--default-character-set=utf8mb4",
                    "--max-allowed-packet=1G",
                    f"--database={target.database}",
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=(descriptor,),
                env=environment(),
                process_group=0,
            )
        self._complaints = Complaints(self._process.stderr, "mysql")

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
        if self._process.stdin:
            try:
                self._process.stdin.write(data)
            except BrokenPipeError:
                self.finish()

    def descriptor(self) -> int:
        """Its input, for a program that writes to it by itself behind what was written so far; raises RestoreError."""
        if self._process.stdin is None:
            return -1
        try:
            self._process.stdin.flush()
        except BrokenPipeError:
            self.finish()
        return self._process.stdin.fileno()

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
        status = self._process.wait()
        said = "; ".join(line.strip() for line in self._complaints.text().splitlines())
        if status == 0 and not broken:
            return
        code = _CODE.search(said)
        hint = _HINTS.get(code[1] if code else "", "mend what it says")
        raise LoadError(
            f"mysql {how_it_ended(status)}: {said[:600] or 'and said nothing'}",
            hint=f"{hint}; {_AGAIN}",
            environmental=code is None or code[1] in _NOT_THE_DUMP or _FULL.search(said) is not None,
        )
