"""Whether a clone can be taken of a server: a pure decision."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from wbagent.backup.engines.clone_directory import Place
from wbagent.backup.engines.engine import WhyNot
from wbagent.backup.source import some
from wbagent.database.clone import CloneFacts
from wbagent.database.facts import ServerFacts, show_version
from wbagent.database.grants import mysql_command
from wbagent.database.schema import DatabaseFacts
from wbagent.quantities import format_size

_SINCE: Final = (8, 0, 17)
# A clone carries along the redo log of what is written meanwhile.
_MARGIN: Final = 1.1
_REDO: Final = 256 << 20


def why_no_clone(
    server: ServerFacts, database: DatabaseFacts, facts: CloneFacts, place: Place, *, same_host: bool
) -> WhyNot | None:
    """The first thing that speaks against CLONE LOCAL, or None.

    Invariant: None only for a server from 8.0.17 on whose files this process can read on this host, whose database is
    all InnoDB and not encrypted, by an account that may clone, with room for a copy of all its data. (MySQL manual,
    "The Clone Plugin": only InnoDB data is cloned, other tables come out empty; BACKUP_ADMIN.)
    """
    others = [f"{table.name} ({table.engine})" for table in database.tables if table.engine != "InnoDB"]
    missing = [right for right in ("BACKUP_ADMIN", "PROCESS") if not server.grants.has(right)]
    needed = int(facts.data_bytes * _MARGIN) + _REDO
    checks = (
        (not same_host, "the server is on another host", "run the agent on the database's host, with [database] url"),
        (server.version < _SINCE, f"MySQL {show_version(server.version)} has no CLONE", "it came with 8.0.17"),
        (
            not facts.plugin_active,
            "the plugin is not active",
            mysql_command("INSTALL PLUGIN clone SONAME 'mysql_clone.so';"),
        ),
        (bool(missing), f"the account lacks {' and '.join(missing)}", server.grants.command(missing)),
        (
            bool(others),
            f"tables that are not InnoDB would be empty in it: {some(others)}",
            "ALTER TABLE … ENGINE=InnoDB;",
        ),
        (
            facts.encrypted > 0,
            f"{facts.encrypted} tablespaces are encrypted, and a clone of them needs the server's keyring to be read",
            "back the keyring up yourself, or use another engine",
        ),
        (
            _overlap(place.path, facts.data_directory),
            f"[backup] clone_directory = {str(place.path)!r} is, holds or lies in MySQL's own data directory",
            "name a directory of its own",
        ),
        (bool(place.why_not), place.why_not, f"install -d -o mysql -g wbagent -m 2770 {place.path}"),
        (
            place.free_bytes < needed,
            f"{place.path} has room for {format_size(place.free_bytes)}, a clone needs {format_size(needed)}",
            "free some, or name a directory on another file system in [backup] clone_directory",
        ),
    )
    return next((WhyNot(reason, remedy) for applies, reason, remedy in checks if applies), None)


def _overlap(path: Path, data_directory: str) -> bool:
    own = Path(data_directory)
    return bool(data_directory) and (path.is_relative_to(own) or own.is_relative_to(path))
