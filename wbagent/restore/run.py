"""Restores a backup into an empty MySQL database, after its checksum was proven, and compares what came out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from wbagent import events
from wbagent.backup.age import Identity
from wbagent.backup.catalog import find_backup
from wbagent.backup.manifest import Manifest
from wbagent.backup.progress import Meter, Reporter
from wbagent.backup.reading import check_stored, plain, require_identity
from wbagent.bucket.store import Store
from wbagent.config.dsn import MysqlURL
from wbagent.config.model import BackupSettings
from wbagent.database.clients import ClientProgram, check_client, find_client
from wbagent.database.connection import Connection, quoted_name, rows, session
from wbagent.database.facts import ServerFacts, read_server
from wbagent.database.grants import quoted_account
from wbagent.database.schema import DatabaseFacts, find_database
from wbagent.errors import RestoreError
from wbagent.restore.compare import differences
from wbagent.restore.load import Load
from wbagent.systemd import journal

# Dropping large tables makes MySQL unlink large files.
_DROP_TIMEOUT_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did; `counted` tables had their rows counted and compared with the commit record."""

    manifest: Manifest
    target: str
    created: bool
    tables: int
    counted: int
    row_count: int
    duration_s: float


def restore_backup(
    store: Store,
    backup: BackupSettings,
    name: str,
    target: MysqlURL,
    report: Reporter,
    *,
    identity: Identity | None = None,
    replacing: Callable[[], None] | None = None,
) -> Restored:
    """Restore backup `name` ("latest": the newest) of `backup.owner` into the database that `target` names.

    The database must be empty, or absent: then it is made with the character set and collation of the one that was
    dumped. Everything is proven before anything is touched: the commit record, the stored object's size and SHA-256,
    the target, and that `identity` opens what is encrypted. With `replacing`, which is called after that proof, the
    database may hold anything: it is dropped and made anew. Raises RestoreError, DatabaseError, BucketError.
    """
    began = time.monotonic()
    manifest = find_backup(store, backup.owner, name)
    require_identity(manifest, identity)
    client = find_client(backup.mysql, "mysql")
    server = _look(target, client, manifest, may_hold_something=replacing is not None)
    dump = manifest.data
    check_stored(store, manifest, dump, Meter("checking", report, expected=dump.size), identity)
    if replacing is not None:
        replacing()
        _drop(target)
    created = _make_ready(target, server, manifest)
    with Load(client, target) as load:
        meter = Meter("restoring", report, expected=dump.plain_size)
        for chunk in plain(store, manifest, dump, meter, "drop the target database", identity):
            load.write(chunk)
        load.finish()
    with session(target, database="", read_timeout=6 * 3600) as connection:
        found = differences(connection, target.database, server.version, manifest, Meter("comparing", report))
    if found.wrong:
        raise RestoreError(
            f"backup {manifest.id} was loaded into {target.address}, but differs: {'; '.join(found.wrong[:10])}",
            hint="do not use this database; try another backup (wbagent backup list)",
        )
    seconds = round(time.monotonic() - began, 3)
    journal.send(
        f"restored backup {manifest.id} into {target.address}: {len(manifest.tables)} tables",
        message_id=events.RESTORE_DONE,
        id=manifest.id,
        tables=len(manifest.tables),
        duration=seconds,
    )
    return Restored(manifest, target.address, created, len(manifest.tables), found.counted, found.row_count, seconds)


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
            hint=f"restore as an administrator, or: {grants.statement(missing)}"
            + (" (instead of SUPER: SET GLOBAL log_bin_trust_function_creators = 1)" if "SUPER" in missing else ""),
        )


def _look(target: MysqlURL, client: ClientProgram, manifest: Manifest, *, may_hold_something: bool) -> ServerFacts:
    """The facts of the target server; raises RestoreError or DatabaseError when the restore could not end well."""
    with session(target, database="") as connection:
        server = read_server(connection)
        check_client(client, server.version, "mysql")
        refuse_unfit_account(server, manifest, replacing=may_hold_something)
        if not may_hold_something:
            _exists_empty(connection, target, server)
    return server


def _drop(target: MysqlURL) -> None:
    with session(target, database="", read_timeout=_DROP_TIMEOUT_S) as connection:
        rows(connection, f"DROP DATABASE IF EXISTS {quoted_name(target.database)}")


def _exists_empty(connection: Connection, target: MysqlURL, server: ServerFacts) -> bool:
    """Whether the target database exists; raises RestoreError when anything is in it."""
    found = find_database(connection, target.database, server.version)
    if found is None:
        return False
    if not found.is_empty:
        raise RestoreError(
            f"the database {target.database!r} at {target.address} is not empty ({len(found.tables)} tables,"
            f" {len(found.views)} views); nothing was touched",
            hint="name a database that does not exist yet in --into, or empty this one yourself if it may go",
        )
    return True


def _make_ready(target: MysqlURL, server: ServerFacts, manifest: Manifest) -> bool:
    """Make the target database unless it exists; returns whether it was made, raises RestoreError."""
    charset, collation = manifest.database.charset, manifest.database.collation
    if not (charset.isidentifier() and collation.isidentifier()):
        raise RestoreError(
            "the commit record names a character set that cannot be one", hint="use another backup: wbagent backup list"
        )
    with session(target, database="") as connection:
        # Looked at once more: the proof may have taken an hour.
        if _exists_empty(connection, target, server):
            return False
        name = quoted_name(target.database)
        rows(connection, f"CREATE DATABASE {name} CHARACTER SET {charset} COLLATE {collation}")
    return True
