"""Gets what a backup holds into MySQL, whatever its engine: into an empty database, or up as a server of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

from wbagent.backup.engines.dump import Dump, dump_options
from wbagent.backup.manifest import Manifest
from wbagent.backup.progress import Meter, Reporter
from wbagent.config.dsn import MysqlURL
from wbagent.database.connection import quoted_name, rows, session
from wbagent.database.facts import Version
from wbagent.database.instance import Instance, Sizing
from wbagent.database.process import Account
from wbagent.errors import RestoreError
from wbagent.restore.load import Load
from wbagent.restore.myloader import loader_options, run_myloader
from wbagent.restore.programs import Programs
from wbagent.restore.stored import StoredBackup
from wbagent.restore.unpack import unpack

# Fills an empty database of a server of this version.
Fill: TypeAlias = Callable[[MysqlURL, Version], None]
DISPOSABLE: Final = Sizing(disposable=True)
THROWN_AWAY: Final = "what came of it is thrown away"
# Without it a load writes everything twice. A server that was killed meanwhile does not start again on what it left,
# which is as it should be.
_NO_REDO_SINCE: Final = (8, 0, 21)


@dataclass(frozen=True, slots=True)
class Filling:
    """A backup and all that it takes to bring it back. `scratch` is an empty directory that `account` may enter.

    A server that is not `disposable` is stopped in order at the end, so that another can be started on its directory.
    `consequence`: what a backup that turns out to be damaged means for what was made of it so far. `options`: further
    settings of the server that a clone is brought up as.
    """

    backup: StoredBackup
    programs: Programs
    scratch: Path
    account: Account | None
    report: Reporter
    sizing: Sizing = DISPOSABLE
    consequence: str = THROWN_AWAY
    options: Mapping[str, str] = field(default_factory=dict)

    @contextmanager
    def prepared(self) -> Iterator[Fill]:
        """All that can be done before the target is touched; yields what then fills an empty database.

        Of what is no SQL everything is unpacked and proven by then, of a dump nothing has been read yet: check it first
        where something is to be replaced. Filling raises like this, and then what is in the target is worth nothing.
        Raises RestoreError, DatabaseError, BucketError.
        """
        match self.backup.manifest.engine:
            case "mysqldump":
                yield lambda target, version: self._load(
                    target, version, self.backup.data("restoring", self.report, self.consequence)
                )
            case "mydumper":
                loader = self.programs.myloader()
                directory = self.room("mydumper")
                unpack(self.backup.data("unpacking", self.report, self.consequence), directory, self.account)
                name = self.backup.manifest.database.name
                yield lambda target, _: run_myloader(
                    loader, target, loader_options(_lowest(directory), name, target.database, os.cpu_count() or 1)
                )
            case "clone":
                with self.brought_up(self.room("data")) as server:
                    yield lambda target, version: self._copy(server, target, version)

    @contextmanager
    def brought_up(self, data: Path) -> Iterator[Instance]:
        """A throw-away server on the empty directory `data`, which then holds what the backup does.

        The database has the name that it was backed up with. Raises as `prepared`, and NoServerProgramError.
        """
        manifest = self.backup.manifest
        program = self.programs.mysqld(manifest)
        if manifest.engine == "clone":
            unpack(self.backup.data("unpacking", self.report, self.consequence), data, self.account)
            # The accounts in it are those of the server that was cloned.
            settings = {**made_with(manifest), **self.options}
            with Instance(
                program, data, account=self.account, trusted=True, made_with=settings, sizing=self.sizing
            ) as server:
                yield server
            return
        Instance(program, data, account=self.account, sizing=self.sizing).initialize()
        with self.prepared() as fill, Instance(program, data, account=self.account, sizing=self.sizing) as server:
            target = server.url(manifest.database.name)
            with session(target, database="") as connection:
                rows(connection, create_statement(self.backup, target.database))
                if program.version >= _NO_REDO_SINCE:
                    rows(connection, "ALTER INSTANCE DISABLE INNODB REDO_LOG")
            fill(target, program.version)
            if program.version >= _NO_REDO_SINCE and not self.sizing.disposable:
                with session(target, database="", read_timeout=3600) as connection:
                    rows(connection, "ALTER INSTANCE ENABLE INNODB REDO_LOG")
            yield server

    def _load(self, target: MysqlURL, version: Version, statements: Iterable[bytes]) -> None:
        with Load(self.programs.mysql(version), target) as load:
            for chunk in statements:
                load.write(chunk)
            load.finish()

    def _copy(self, server: Instance, target: MysqlURL, version: Version) -> None:
        """From a server of ours into another one's database, by MySQL's own dump."""
        manifest = self.backup.manifest
        source = server.url(manifest.database.name)
        client = self.programs.mysqldump(server.version)
        options = dump_options(client, position=False)
        with Dump(client, source, options) as dump:
            meter = Meter("restoring", self.report)
            self._load(target, version, _metered(dump, meter))
            dump.finish()

    def room(self, name: str) -> Path:
        """A new, empty directory in `scratch`, which belongs to who runs mysqld."""
        room = self.scratch / name
        room.mkdir(mode=0o750)
        if self.account is not None:
            os.chown(room, self.account.uid, self.account.gid)
        return room


def made_with(manifest: Manifest) -> dict[str, str]:
    """The settings without which no mysqld starts on the data directory of a clone, as far as they were recorded."""
    server = manifest.server
    found = {
        "lower-case-table-names": server.lower_case_table_names,
        "innodb-page-size": server.page_size,
        "innodb-data-file-path": server.data_file_path,
    }
    return {name: str(value) for name, value in found.items() if value is not None}


def create_statement(backup: StoredBackup, name: str) -> str:
    """CREATE DATABASE with the character set and collation of the one that was backed up; raises RestoreError."""
    charset, collation = backup.manifest.database.charset, backup.manifest.database.collation
    if not (charset.isidentifier() and collation.isidentifier()):
        raise RestoreError(
            "the commit record names a character set that cannot be one", hint="use another backup: wbagent backup list"
        )
    return f"CREATE DATABASE {quoted_name(name)} CHARACTER SET {charset} COLLATE {collation}"


def _metered(dump: Dump, meter: Meter) -> Iterator[bytes]:
    for chunk in dump.chunks():
        meter.add(len(chunk))
        yield chunk
    meter.done()


def _lowest(directory: Path) -> Path:
    """Where the files are: the archive may hold them in one directory of their own."""
    inside = list(directory.iterdir())
    return _lowest(inside[0]) if len(inside) == 1 and inside[0].is_dir() else directory
