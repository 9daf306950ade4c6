"""Runs MySQL's mysqlbinlog, which follows the server's binary logs without a pause into files of a directory."""

from __future__ import annotations

import os
import subprocess
import zlib
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from wbagent.child import how_it_ended
from wbagent.config.dsn import MysqlURL
from wbagent.database.clients import ClientProgram
from wbagent.database.options_file import start_program

_STOP_S: Final = 5.0
_MOST_COMPLAINTS: Final = 4096


def replica_id(owner: str) -> int:
    """The id by which the server knows this reader: the same for the same owner, above those that people choose.

    The server ends an older reader of the same id, so one behind a link that was cut does not stay.
    """
    return 0x8000_0000 | zlib.crc32(f"wbagent {owner}".encode())


class Reader:
    """A running mysqlbinlog that writes the server's files, from `file` at `position` on, into `directory`.

    Begun in the midst of a file, it writes that file's first event before what follows.
    """

    def __init__(
        self, client: ClientProgram, url: MysqlURL, directory: Path, start: tuple[str, int], identity: int
    ) -> None:
        file, position = start
        # A file, not a pipe: nobody has to read it while the program runs.
        self._complaints = os.fdopen(os.memfd_create("mysqlbinlog-stderr", os.MFD_CLOEXEC), "w+b")
        options = [
            "--read-from-remote-server",
            "--raw",
            "--stop-never",
            "--verify-binlog-checksum",
            f"--connection-server-id={identity}",
            f"--result-file={directory}/",
            f"--start-position={position}",
        ]
        self._process = start_program(client.path, url, [*options, "--", file], stderr=self._complaints)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The program's process id."""
        return self._process.pid

    def ended(self) -> str | None:
        """None while it runs; else how it ended and what it said."""
        status = self._process.poll()
        if status is None:
            return None
        said = os.pread(self._complaints.fileno(), _MOST_COMPLAINTS, 0).decode(errors="replace")
        lines = [
            line.removeprefix("ERROR: ")
            for line in said.splitlines()
            if "WARNING" not in line and "[Warning]" not in line
        ]
        if status == 0 and not lines:
            return "the server closed the connection"
        return f"mysqlbinlog {how_it_ended(status)}: {'; '.join(lines)[:600] or 'and said nothing'}"

    def stop(self) -> None:
        """End it, and return when it is gone."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()
        self._complaints.close()
