"""Whether mydumper can take a backup, and how it is called: pure decisions, and the look at the program."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wbagent.backup.engines.engine import WhyNot
from wbagent.backup.source import Source, some
from wbagent.config import embedded as own
from wbagent.config.dsn import MysqlURL
from wbagent.database.clients import asked_for_version
from wbagent.database.facts import ServerFacts, Version, parse_version, show_version
from wbagent.database.schema import DatabaseFacts
from wbagent.errors import DatabaseError
from wbagent.quantities import format_size

_SINCE: Final = (1, 0, 1)
_GET_IT: Final = "install mydumper 1.0.1 or later from its project's releases, and name it in [backup] mydumper"
_VERSION: Final = re.compile(r"mydumper v?(\d+\.\d+\.\d+)")
_LONG_QUERY_S: Final = 5
_LOCK_WAIT_S: Final = 10


@dataclass(frozen=True, slots=True)
class Program:
    """A mydumper that was found; `text` is what it says of itself."""

    path: str
    version: Version
    text: str


def parse_program(path: str, text: str) -> Program | WhyNot:
    """Read the answer to `--version`.

    Older ones lose rows between chunks (mydumper #1249, #1337), routines and events (0.10, which Debian packages and
    which calls itself 0.10.0). MariaDB's client library does not know ssl-mode: the connection would be less protected
    than [database] url asks for.
    """
    line = text.strip().splitlines()[0][:200] if text.strip() else ""
    found = _VERSION.match(line)
    version = parse_version(found[1]) if found else (0, 0, 0)
    if version < _SINCE:
        return WhyNot(f"{path} is {line or 'of no known version'!r}, and older ones lose rows or routines", _GET_IT)
    if "built against MariaDB" in line:
        return WhyNot(f"{path} is built against MariaDB's client library, which has other options for TLS", _GET_IT)
    return Program(path, version, line)


def find_program(name: str) -> Program | WhyNot:
    """Find mydumper (a name on PATH, or an absolute path), and the zstd program that it compresses with."""
    path = shutil.which(name)
    if path is None:
        return WhyNot(f"the program {name!r} was not found", _GET_IT)
    if shutil.which("zstd") is None:
        return WhyNot("mydumper needs the program zstd", "apt install zstd")
    try:
        answer = asked_for_version(path, hint=_GET_IT)
    except DatabaseError as error:
        return WhyNot(error.message, error.hint)
    return parse_program(path, answer.stdout.decode(errors="replace"))


@dataclass(frozen=True, slots=True)
class Room:
    """The directory that the files wait in until they are stored, and the bytes that are free there."""

    path: Path
    free_bytes: int


def why_no_mydumper(url: MysqlURL, source: Source, room: Room) -> WhyNot | None:
    """The first thing that speaks against a backup of this server by mydumper, or None.

    Invariant: None only where the global read lock, which its threads need to begin at one moment, can be had without
    stopping writers for long; where the position can be noted if there is one; and where the files have room.
    """
    server, size = source.server, source.database.size
    missing = [
        right
        for right in server.grants.missing_for_position(server.version)
        if server.binary_log or right != "REPLICATION CLIENT"
    ]
    hidden = source.database.hidden_routines
    checks = (
        (url == own.MYSQL, "the embedded server's account may not lock tables", "wbagent server externalize"),
        ("," in source.database.name, "it takes a name with a comma for several databases", "rename the database"),
        (
            (9, 0, 0) <= server.version < (9, 2, 0),
            f"it asks MySQL {show_version(server.version)} for its position by a statement of 8.0",
            "an upgrade to 9.2 or later, or 8.4",
        ),
        (bool(missing), f"the account lacks {' and '.join(missing)}", server.grants.command(missing)),
        (bool(hidden), f"the account may not read {some(hidden)}", server.grants.command(["SHOW_ROUTINE"])),
        (
            source.long_queries > 0,
            f"{source.long_queries} statements have run for long, and the lock behind them would stop all writers",
            "run it again later",
        ),
        (
            room.free_bytes < size,
            f"{room.path} has room for {format_size(room.free_bytes)}, and the database has {format_size(size)}",
            "free some",
        ),
    )
    return next((WhyNot(reason, remedy) for applies, reason, remedy in checks if applies), None)


def loses(database: DatabaseFacts) -> str:
    """What mydumper does not carry over of routines, triggers and events; "" without any.

    It writes no sql_mode for them, and takes STRICT_TRANS_TABLES out of the one that they are all restored with.
    """
    programs = (*database.routines, *database.triggers, *database.events)
    return f"mydumper restores these with another sql_mode, not a strict one: {some(programs)}" if programs else ""


def options(server: ServerFacts, level: int, threads: int) -> Iterator[str]:
    """mydumper's options, without those that say where the server is and what is dumped where to."""
    yield f"--threads={threads}"
    yield from ("--routines", "--events", "--triggers")
    # By itself it cuts tables into ranges of their keys, which is what lost rows. Each is read whole, and what was
    # written of it is held against COUNT(*) of the same snapshot.
    yield from ("--rows=-1", "--check-row-count")
    # As soon as each thread has its snapshot the lock is given back.
    yield from ("--sync-thread-lock-mode=FTWRL", "--trx-tables")
    yield f"--long-query-guard={_LONG_QUERY_S}"
    # 0, the default, tries for ever.
    yield "--ftwrl-timeout-retries=1"
    # LOCK INSTANCE FOR BACKUP would hold up a migration, and with it the server's start. DDL is found afterwards.
    yield "--skip-ddl-locks"
    # Else a server whose version_comment does not name MySQL (Debian's) is unknown to it, and has no position.
    yield f"--server-version={server.flavour.lower()}-{show_version(server.version)}"
    # --compress has no level.
    yield from (f"--exec-per-thread=zstd -c -{level}", "--exec-per-thread-extension=.zst")
    yield "--verbose=2"


def session_variables(version: Version) -> str:
    """The section of its defaults file that each of its sessions begins with."""
    # The lock stops all writers while it waits behind a long statement: not for long.
    lines = [f"lock_wait_timeout = {_LOCK_WAIT_S}"]
    if version >= (9, 0, 0):
        # It reads EXPLAIN as a table, and crashes on the tree that is the default from 9.x on.
        lines.append("explain_format = TRADITIONAL")
    return "\n".join(("", "[mydumper_session_variables]", *lines, ""))
