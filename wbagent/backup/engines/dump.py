"""Runs mysqldump: its options, the plan for its position, its output as chunks, its exit status and its complaints."""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from wbagent.child import Complaints, how_it_ended
from wbagent.chunk import CHUNK
from wbagent.config.dsn import MysqlURL
from wbagent.database.clients import ClientProgram
from wbagent.database.facts import ServerFacts
from wbagent.database.options_file import start_program
from wbagent.errors import BackupError

_LOCK_WAIT_S: Final = 30
_HARMLESS: Final = ("A partial dump from a server that has GTIDs will by default include the GTIDs",)


@dataclass(frozen=True, slots=True)
class PositionPlan:
    """Whether the dump notes the binary log's position; `warning` says why not and how to have it, or is ""."""

    wanted: bool
    warning: str = ""


def plan_position(server: ServerFacts, long_queries: int) -> PositionPlan:
    """Decide from the server's facts and the number of statements that have run for long.

    Invariant: the global read lock, for a moment, is asked for only when it can be had without stopping writers.
    """
    lacking = "the binary log's position is not noted: "
    if not server.binary_log:
        return PositionPlan(False, f"{lacking}the binary log is off (log_bin), so there is none")
    missing = server.grants.missing_for_position(server.version)
    if missing:
        return PositionPlan(
            False, f"{lacking}the account lacks {' and '.join(missing)}; on its host: {server.grants.command(missing)}"
        )
    if long_queries:
        return PositionPlan(
            False,
            f"{lacking}{long_queries} statements have run for long, and the lock behind them would stop all writers",
        )
    return PositionPlan(True)


def dump_options(client: ClientProgram, *, position: bool) -> list[str]:
    """mysqldump's options, without those that say where the server is."""
    options = [
        "--single-transaction",
        "--quick",
        "--hex-blob",
        "--routines",
        "--events",
        "--triggers",
        "--no-tablespaces",
        "--default-character-set=utf8mb4",
        "--max-allowed-packet=1G",
    ]
    if position:
        # The option has its present name since 8.0.26.
        options.append("--source-data=2" if client.version >= (8, 0, 26) else "--master-data=2")
    options.append(f"--set-gtid-purged={'COMMENTED' if position and client.version >= (8, 0, 17) else 'OFF'}")
    if (8, 0, 0) <= client.version < (9, 0, 0):
        # On by default in early 8.0; asks a 5.7 server for a table that it does not have.
        options.append("--column-statistics=0")
    if client.version >= (9, 0, 0):
        # On by default in 9.7; wants a right on mysql.column_masking_policy and, without it, ends in an error.
        options.append("--loose-skip-masking-policies")
        # The lock for the position stops all writers while it waits behind a long statement: not for long.
        options.append(f"--loose-init-command=SET SESSION lock_wait_timeout = {_LOCK_WAIT_S}")
    return options


class Dump:
    """A running mysqldump of one database; leaving the block ends it if it still runs."""

    def __init__(self, client: ClientProgram, url: MysqlURL, options: Sequence[str]) -> None:
        self._client = client
        self._process = start_program(client.path, url, [*options, "--", url.database], stdout=subprocess.PIPE)
        self._complaints = Complaints(self._process.stderr, "mysqldump")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._complaints.close()
        if self._process.stdout:
            self._process.stdout.close()

    @property
    def pid(self) -> int:
        """The program's process id."""
        return self._process.pid

    def chunks(self) -> Iterator[bytes]:
        """The dump as it comes, in pieces of at most CHUNK bytes."""
        if self._process.stdout is None:
            return
        descriptor = self._process.stdout.fileno()
        # Fewer wake-ups of both sides; a limit on pipes for this user is no reason to fail.
        with suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, CHUNK)
        while data := os.read(descriptor, CHUNK):
            yield data

    def finish(self) -> tuple[str, ...]:
        """Wait for its end and judge it; returns warnings, raises BackupError."""
        return judge(self._process.wait(), self._complaints.text())


def judge(status: int, complaints: str) -> tuple[str, ...]:
    """Judge mysqldump by its exit status and its stderr: returns warnings, raises BackupError.

    Status 0 alone proves nothing: what is not marked as a warning is an error.
    """
    lines = [line.strip() for line in complaints.splitlines() if line.strip()]
    warnings = [line for line in lines if line.startswith("Warning:") or "[Warning]" in line or "[Note]" in line]
    errors = [line for line in lines if line not in warnings]
    if status == 0 and not errors:
        return tuple(line for line in warnings if not any(text in line for text in _HARMLESS))
    said = "; ".join(errors)[:600] or "and said nothing"
    raise BackupError(f"mysqldump {how_it_ended(status)}: {said}", hint=_hint(said))


def _hint(said: str) -> str:
    if "SHOW CREATE FUNCTION" in said or "SHOW CREATE PROCEDURE" in said:
        return "as an administrator: GRANT SHOW_ROUTINE ON *.* to the account in the connection string"
    if "Table definition has changed" in said or "Error in field count" in said:
        return "a migration ran meanwhile; run it again: wbagent backup run"
    if "Lock wait timeout" in said:
        return "a statement runs for long: end it, or run it again later"
    if "Lost connection" in said or "gone away" in said:
        return "look at MySQL's error log and the network in between, then: wbagent backup run"
    if "denied" in said:
        return "grant the account its rights: GRANT ALL on its database, as W&B's guide says"
    return "mend what it says, then: wbagent backup run"
