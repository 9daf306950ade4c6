"""Looks at the database that is to be restored into, and makes it ready: empty, with a mark until all is compared."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wbagent.backup.manifest import Manifest
from wbagent.config.dsn import MysqlURL
from wbagent.database.account import MYSQLS_OWN
from wbagent.database.connection import Connection, quoted_name, rows, session
from wbagent.database.facts import ServerFacts, parse_version, read_server
from wbagent.database.grants import quoted_account
from wbagent.database.mysqld import load_refusal
from wbagent.database.schema import DatabaseFacts, find_database
from wbagent.database.unfinished import find_mark, mark, may_replace
from wbagent.errors import RestoreError
from wbagent.restore.filling import create_statement
from wbagent.restore.scratch import check_room, data_size
from wbagent.restore.stored import StoredBackup

# Dropping large tables makes MySQL unlink large files.
_DROP_TIMEOUT_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Target:
    """The target's server; `half_restored` (or "") is what an interrupted restore left there, and may be replaced."""

    server: ServerFacts
    half_restored: str = ""


def look(target: MysqlURL, manifest: Manifest, *, overwrite: bool) -> Target:
    """What is there; raises RestoreError or DatabaseError when a restore of this backup could not end well.

    `overwrite`: the database may hold anything, and all of it will be lost.
    """
    if target.database.lower() in MYSQLS_OWN:
        # Some versions let root drop them, and the server is then broken.
        raise RestoreError(
            f"the database {target.database!r} is one of MySQL's own; nothing was touched",
            hint="name a database that does not exist yet in --into",
        )
    with session(target, database="") as connection:
        server = read_server(connection)
        _refuse_unfit_server(server, target, manifest)
        refuse_unfit_account(server, manifest, replacing=overwrite)
        left = "" if overwrite else _what_was_left(connection, target, server, manifest)
        _check_room(connection, manifest)
    return Target(server, left)


def make_ready(target: MysqlURL, found: Target, backup: StoredBackup, *, overwrite: bool) -> bool:
    """Leave an empty, marked database there; returns whether it was made anew. Raises RestoreError, DatabaseError."""
    statement = create_statement(backup, target.database)
    with session(target, database="", read_timeout=_DROP_TIMEOUT_S) as connection:
        # Looked at once more: the proof may have taken an hour.
        left = "" if overwrite else _what_was_left(connection, target, found.server, backup.manifest)
        if overwrite or left:
            rows(connection, f"DROP DATABASE IF EXISTS {quoted_name(target.database)}")
        created = find_database(connection, target.database, found.server.version) is None
        if created:
            rows(connection, statement)
        mark(connection, target.database, backup.manifest.id)
    return created


def refuse_unfit_account(server: ServerFacts, dumped: Manifest | DatabaseFacts, *, replacing: bool) -> None:
    """Raise RestoreError when the account could load the data, but not what stands at the end of the dump.

    `dumped` may also be the database of which a dump is still to be made. `replacing`: a database is dropped for it, so
    what may be lacking counts as lacking.
    """
    grants, missing = server.grants, []
    foreign = [definer for definer in dumped.definers if quoted_account(definer) != grants.account]
    if foreign and not grants.has("SUPER", "SET_ANY_DEFINER", "SET_USER_ID"):
        missing.append("SET_ANY_DEFINER" if server.version >= (8, 2, 0) else "SET_USER_ID")
    # Only an account that has it may make objects of another one that has it: root does, others may.
    privileged = foreign if replacing else [definer for definer in foreign if definer.startswith("root@")]
    if privileged and server.version >= (8, 0, 16) and not grants.has("SYSTEM_USER"):
        missing.append("SYSTEM_USER")
    functions = any(routine.startswith("FUNCTION ") for routine in dumped.routines)
    distrusted = server.binary_log and not server.trusts_creators and not grants.has("SUPER")
    if distrusted and (functions or dumped.triggers):
        missing.append("SUPER")
    if missing:
        raise RestoreError(
            f"the account {grants.account} lacks {', '.join(missing)}, which the backup's triggers, functions or"
            " objects of other accounts need; nothing was touched",
            hint=f"restore as an administrator, or on its host: {grants.command(missing)}"
            + (" (instead of SUPER: SET GLOBAL log_bin_trust_function_creators = 1)" if "SUPER" in missing else ""),
        )


def _refuse_unfit_server(server: ServerFacts, target: MysqlURL, manifest: Manifest) -> None:
    refusal = load_refusal(parse_version(manifest.server.version), server.version)
    if server.flavour == "MariaDB":
        refusal = "it is MariaDB, which loads a dump of MySQL wrongly or not at all"
    if refusal:
        raise RestoreError(
            f"the server at {target.address} cannot take this backup: {refusal}; nothing was touched",
            hint=f"restore into MySQL {manifest.server.version} or newer",
        )


def _what_was_left(connection: Connection, target: MysqlURL, server: ServerFacts, manifest: Manifest) -> str:
    """What an interrupted restore left in the database, "" when it is empty or absent; RestoreError for all else."""
    found = find_database(connection, target.database, server.version)
    if found is None or found.is_empty:
        return ""
    tables = [table.name for table in found.tables]
    left = find_mark(connection, target.database)
    if left is not None and may_replace(tables, [table.name for table in manifest.tables]):
        return left.sentence()
    state = f"; it is {left.sentence()}, and has other tables besides" if left else ""
    raise RestoreError(
        f"the database {target.database!r} at {target.address} is not empty ({len(found.tables)} tables,"
        f" {len(found.views)} views){state}; nothing was touched",
        hint="name a database that does not exist yet in --into; --overwrite drops this one with all that is in it",
    )


def _check_room(connection: Connection, manifest: Manifest) -> None:
    """Raise RestoreError when the server's disk is this host's and has not the room."""
    host, directory = rows(connection, "SELECT @@hostname, @@datadir")[0]
    # One in a container has another name, and its path would mean something else here.
    if host == socket.gethostname() and os.access(str(directory), os.F_OK):
        check_room(Path(str(directory)), data_size(manifest))
