"""Applies stored binary logs to a database: MySQL's own mysqlbinlog into MySQL's own mysql, without a shell."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import IO, Final, Self

from wbagent.binlog.gtid import GtidSet
from wbagent.child import how_it_ended
from wbagent.config.dsn import MysqlURL
from wbagent.database.clients import ClientProgram
from wbagent.database.facts import ServerFacts
from wbagent.database.options_file import environment
from wbagent.errors import RestoreError
from wbagent.restore.load import Load
from wbagent.restore.statements import Scope

_MOST_COMPLAINTS: Final = 4096
_NOBODYS: Final = "wbagent_left_out"


@dataclass(frozen=True, slots=True)
class Clients:
    """MySQL's own programs."""

    mysql: ClientProgram
    mysqlbinlog: ClientProgram


def refuse_unfit_account(server: ServerFacts) -> None:
    """Raise RestoreError, with the GRANT, for an account that may not do what mysqlbinlog writes.

    BINLOG takes one privilege, the session variables that row events were written under another (MySQL's manual,
    "BINLOG Statement" and "System Variable Privileges").
    """
    grants, missing = server.grants, []
    if server.version < (8, 0, 0):
        missing = [] if grants.has("SUPER") else ["SUPER"]
    else:
        if not grants.has("BINLOG_ADMIN", "REPLICATION_APPLIER", "SUPER"):
            missing.append("BINLOG_ADMIN")
        if not grants.has("SESSION_VARIABLES_ADMIN", "SYSTEM_VARIABLES_ADMIN", "SUPER"):
            missing.append("SESSION_VARIABLES_ADMIN" if server.version >= (8, 0, 14) else "SYSTEM_VARIABLES_ADMIN")
    if missing:
        raise RestoreError(
            f"the account {grants.account} lacks {' and '.join(missing)}, without which binary logs cannot be applied;"
            " nothing was touched",
            hint=f"restore as an administrator, or on its host: {grants.command(missing)}",
        )


def mysqlbinlog_options(scope: Scope | None, gtids: GtidSet) -> list[str]:
    """How one file is turned into statements; `scope` is None for a copy of the whole server.

    Such a copy goes on in the server's own history, under the same identifiers: what it holds already it skips. A
    database is loaded as new transactions, so what follows must be new too: on the server that it came from,
    transactions with their old identifiers would be skipped without a word, as executed already.
    """
    options = ["--verify-binlog-checksum", f"--include-gtids={gtids}"]
    if scope is None:
        return [*options, "-"]
    options.append("--skip-gtids")
    if scope.renamed:
        options.append(f"--rewrite-db={scope.original}->{scope.target}")
        # Rows of a database that had the target's name then, such as an earlier restore, are none of the original's.
        # Each name is changed once, so these go by one that is not chosen below.
        options.append(f"--rewrite-db={scope.target}->{_NOBODYS}")
    # Names are changed first, so it is the new one that is chosen.
    return [*options, f"--database={scope.target}", "-"]


class Replay:
    """A session of mysql that file after file is applied in; leaving the block ends it if it still runs.

    `scope` is None for a copy of the whole server, which runs without looking at its accounts.
    """

    def __init__(self, programs: Clients, target: MysqlURL, scope: Scope | None) -> None:
        self._programs = programs
        self._target = target
        self._scope = scope
        self._left = ExitStack()

    def __enter__(self) -> Self:
        self._load = self._left.enter_context(Load(self._programs.mysql, self._target))
        if self._scope is None:
            # Without it such a server refuses statements about accounts; this session keeps its rights.
            self._load.write(b"FLUSH PRIVILEGES;\n")
        return self

    def __exit__(self, *error: object) -> None:
        self._left.close()

    def apply(self, chunks: Iterable[bytes], gtids: GtidSet) -> None:
        """Apply the transactions of one file, given from its beginning on; raises RestoreError."""
        options = mysqlbinlog_options(self._scope, gtids)
        with os.fdopen(os.memfd_create("mysqlbinlog-stderr", os.MFD_CLOEXEC), "w+b") as complaints:
            program = _start([self._programs.mysqlbinlog.path, "--no-defaults", *options], self._load, complaints)
            try:
                status = _feed(program, chunks)
            finally:
                if program.poll() is None:
                    program.kill()
                    program.wait()
            if status:
                # When mysql ended, its own reason is the one that matters.
                self._load.check()
                said = os.pread(complaints.fileno(), _MOST_COMPLAINTS, 0).decode(errors="replace").strip()
                raise RestoreError(
                    f"mysqlbinlog {how_it_ended(status)}: {said[:600] or 'and said nothing'}",
                    hint="mend what it says",
                )

    def finish(self) -> None:
        """Wait until everything is executed; raises RestoreError."""
        self._load.finish()


def _start(command: Sequence[str], load: Load, complaints: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=load.descriptor(),
        stderr=complaints,
        env=environment(),
        process_group=0,
    )


def _feed(program: subprocess.Popen[bytes], chunks: Iterable[bytes]) -> int:
    """Write everything to its input and wait for it; returns its exit status."""
    pipe = program.stdin
    if pipe is not None:
        try:
            for chunk in chunks:
                pipe.write(chunk)
            pipe.close()
        except BrokenPipeError:
            return program.wait() or 1
    return program.wait()
