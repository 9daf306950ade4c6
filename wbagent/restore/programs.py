"""MySQL's programs that a restore calls, each found and held to the versions of backup and target when it is needed."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from typing import Final

from wbagent.backup.manifest import Manifest
from wbagent.config.model import BackupSettings
from wbagent.database.clients import ClientProgram, asked_for_version, check_client, find_client
from wbagent.database.facts import Version, parse_version, show_version
from wbagent.database.mysqld import Mysqld, check_mysqld, find_mysqld
from wbagent.errors import DatabaseError

# Older ones end with status 1 after a good restore, or with 0 after they left out routines and events.
_OLDEST_MYLOADER: Final = (1, 0, 1)
_MYLOADER: Final = (
    "install mydumper 1.0.1 or newer (https://github.com/mydumper/mydumper/releases) and name its myloader"
)


@dataclass(frozen=True, slots=True)
class Programs:
    """The names in [backup]; every method raises DatabaseError when the program is missing or does not fit.

    `server` is a server program that was found already; without it [backup.drill] mysqld is looked for.
    """

    settings: BackupSettings
    server: Mysqld | None = None

    def mysql(self, target: Version) -> ClientProgram:
        """The client that loads into a server of this version."""
        client = find_client(self.settings.mysql, "mysql")
        check_client(client, target, "mysql")
        return client

    def mysqldump(self, source: Version) -> ClientProgram:
        """The program that reads from a server of this version."""
        client = find_client(self.settings.mysqldump, "mysqldump")
        check_client(client, source, "mysqldump")
        return client

    def mysqld(self, manifest: Manifest) -> Mysqld:
        """The server that takes over what this backup holds; raises NoServerProgramError where there is none."""
        program = self.server or find_mysqld(self.settings.drill.mysqld)
        version = parse_version(manifest.server.version)
        check_mysqld(program, manifest.server.version, version, physical=manifest.engine == "clone")
        return program

    def myloader(self) -> str:
        """The path of mydumper's loader."""
        path = shutil.which(self.settings.myloader)
        if path is None:
            raise DatabaseError(
                f"the backup was made by mydumper and {self.settings.myloader!r} was not found", hint=_MYLOADER
            )
        said = asked_for_version(path, hint=_MYLOADER).stdout.decode(errors="replace")
        found = re.search(r"myloader v?(\d+\.\d+\.\d+)", said)
        version = parse_version(found[1]) if found else (0, 0, 0)
        if version < _OLDEST_MYLOADER:
            raise DatabaseError(
                f"{path} is {show_version(version)}, which loses routines and events or fails after a good restore",
                hint=_MYLOADER,
            )
        return path
