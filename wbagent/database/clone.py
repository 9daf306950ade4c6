"""What decides whether a server's data files can be cloned, as the server itself tells it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from wbagent.database.connection import Connection, rows
from wbagent.database.facts import ServerFacts

_SIZE: Final = (
    "SELECT COALESCE(SUM(file_size), 0), COALESCE(SUM(encryption = 'Y'), 0) FROM information_schema.innodb_tablespaces"
    " WHERE name <> 'innodb_temporary'"
)
_OTHERS: Final = (
    "SELECT schema_name FROM information_schema.schemata WHERE schema_name NOT IN"
    " (%s, 'mysql', 'sys', 'information_schema', 'performance_schema') ORDER BY schema_name"
)


@dataclass(frozen=True, slots=True)
class CloneFacts:
    """`data_bytes`: the files that a clone copies, of all databases; `others`: those beside the one backed up.

    `data_directory` is where the server has its own.
    """

    plugin_active: bool
    data_bytes: int
    encrypted: int
    others: tuple[str, ...]
    data_directory: str = ""


def read_clone_facts(connection: Connection, server: ServerFacts, database: str) -> CloneFacts:
    """Read them; raises PyMySQL's errors. Sizes need the privilege PROCESS and are 0 without it."""
    plugins = rows(connection, "SELECT plugin_status FROM information_schema.plugins WHERE plugin_name = 'clone'")
    size = encrypted = 0
    if server.version >= (8, 0, 17) and server.grants.has("PROCESS"):
        ((size, encrypted),) = rows(connection, _SIZE)
    others = tuple(str(row[0]) for row in rows(connection, _OTHERS, database))
    ((directory,),) = rows(connection, "SELECT @@GLOBAL.datadir")
    return CloneFacts(plugins == (("ACTIVE",),), int(size), int(encrypted), others, str(directory))
