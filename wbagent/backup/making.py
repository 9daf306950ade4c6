"""The steps of one backup up to its commit record: look, dump, prove, commit."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import zstandard

from wbagent import __version__, events
from wbagent.backup.dump import Dump, dump_options
from wbagent.backup.files import fetched, store_files
from wbagent.backup.layout import backup_id, dump_key, manifest_key, owner_prefix
from wbagent.backup.manifest import (
    DatabaseRecord,
    FilesRecord,
    Manifest,
    Position,
    ServerRecord,
    StoredObject,
    TableRecord,
)
from wbagent.backup.pipeline import Compression, Pipeline, prove
from wbagent.backup.progress import Meter, Reporter
from wbagent.backup.rows import RowCounter
from wbagent.backup.source import Source, check_complete, look, look_again
from wbagent.bucket.store import NotAllowedError, Store
from wbagent.config.dsn import MysqlURL
from wbagent.config.model import BackupSettings
from wbagent.database.clients import ClientProgram, find_client
from wbagent.errors import BackupError
from wbagent.quantities import format_size
from wbagent.systemd import journal

Clock = Callable[[], float]
_SUSPICIOUS_SHARE: Final = 0.5


@dataclass(frozen=True, slots=True)
class _Dumped:
    """A dump that is stored but not yet proven."""

    object: StoredObject
    position: Position | None
    rows: dict[str, int]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Origin:
    """What is backed up: a database and, of an embedded server, the files that are behind this socket."""

    url: MysqlURL
    files: Path | None = None


class Making:
    """The steps of one backup, with what they share."""

    def __init__(self, settings: BackupSettings, source: Origin, store: Store, report: Reporter, clock: Clock) -> None:
        self._settings = settings
        self._url = source.url
        self._files_socket = source.files
        self._store = store
        self._report = report
        self._clock = clock

    def make(self, previous_size: int) -> Manifest:
        """Dump, prove, commit; `previous_size`: bytes of the last dump of this owner, or 0."""
        started, began = self._clock(), time.monotonic()
        client = find_client(self._settings.mysqldump, "mysqldump")
        source = look(self._url, client)
        owner = self._settings.owner
        name = self._free_id(started)
        journal.send(
            f"backing up {self._url.address} to {self._store.address} as {name}",
            message_id=events.BACKUP_STARTED,
            id=name,
            tables=len(source.database.tables),
        )
        options = dump_options(client, position=source.plan.wanted)
        dumped = self._dump(client, source, options, dump_key(owner, name), previous_size)
        prove(
            self._store,
            dump_key(owner, name),
            dumped.object,
            Meter("reading back", self._report, expected=dumped.object.size),
        )
        files = self._store_files(owner, name)
        warnings = (*source.warnings, *dumped.warnings, *_shrunk(dumped.object.plain_size, previous_size))
        manifest = Manifest(
            id=name,
            owner=owner,
            host=socket.gethostname(),
            options=tuple(options),
            tools={"wbagent": __version__, "mysqldump": client.text, "zstd": _zstd_version()},
            object=dumped.object,
            files=files,
            position=dumped.position,
            started_at=datetime.fromtimestamp(started, UTC),
            finished_at=datetime.fromtimestamp(self._clock(), UTC),
            duration_s=round(time.monotonic() - began, 3),
            warnings=warnings,
            **_described(source, self._url, dumped.rows),
        )
        self._commit(manifest)
        return manifest

    def _free_id(self, started: float) -> str:
        """An id that nothing is stored under yet, after what dead writers left was cleared."""
        prefix = owner_prefix(self._settings.owner)
        try:
            if count := self._store.clear_unfinished(prefix):
                journal.send(f"removed {count} unfinished uploads of earlier runs")
        except NotAllowedError as error:
            journal.send(f"unfinished uploads of earlier runs cannot be removed: {error.message}", level="warning")
        while next(self._store.entries(f"{prefix}{backup_id(started)}/"), None):
            started += 1
        return backup_id(started)

    def _dump(self, client: ClientProgram, source: Source, options: list[str], key: str, expected_size: int) -> _Dumped:
        """Dump into the store; the object is there when this returns, and nothing is when it raises."""
        largest_last = sorted(source.database.tables, key=lambda table: table.size)
        with ExitStack() as stack:
            counter = RowCounter(self._url, source.server)
            stack.callback(counter.stop)
            writer = stack.enter_context(self._store.writer(key, largest=source.database.size))
            dump = stack.enter_context(Dump(client, self._url, options))
            meter = Meter("dumping", self._report, expected=expected_size)
            pipeline = Pipeline(writer, Compression(self._settings.compression_level), meter)
            pipeline.run(dump.chunks(), lambda: counter.begin(table.name for table in largest_last))
            complaints = dump.finish()
            stored = pipeline.finish()
            counted = counter.stop()
            news = check_complete(source.database, look_again(self._url, source), pipeline.text.tables)
            writer.commit()
        return _Dumped(stored, pipeline.text.position, counted, (*complaints, *news))

    def _store_files(self, owner: str, name: str) -> FilesRecord | None:
        if self._files_socket is None:
            return None
        with fetched(self._files_socket) as archive:
            meter = Meter("storing files", self._report)
            return store_files(archive, self._store, owner, name, self._settings.compression_level, meter)

    def _commit(self, manifest: Manifest) -> None:
        """Write the commit record and read it back: from here on the backup exists."""
        key, data = manifest_key(manifest.owner, manifest.id), manifest.to_bytes()
        self._store.put(key, data)
        if b"".join(self._store.get(key)) != data:
            raise BackupError(
                f"{self._store.address} holds something else than was sent for {key}", hint="do not trust this store"
            )


def _described(source: Source, url: MysqlURL, counts: dict[str, int]) -> dict[str, Any]:
    database, server = source.database, source.server
    return {
        "server": ServerRecord(version=server.version_text, comment=server.comment, host=server.host, uuid=server.uuid),
        "database": DatabaseRecord(
            name=database.name, address=url.address, charset=database.charset, collation=database.collation
        ),
        "tables": tuple(
            TableRecord(
                name=table.name,
                engine=table.engine,
                rows=counts.get(table.name),
                rows_estimate=table.rows_estimate,
            )
            for table in database.tables
        ),
        "views": database.views,
        "routines": database.routines,
        "triggers": database.triggers,
        "events": database.events,
        "definers": database.definers,
    }


def _shrunk(size: int, previous: int) -> tuple[str, ...]:
    if previous and size < previous * _SUSPICIOUS_SHARE:
        sizes = f"{format_size(size)} after {format_size(previous)}"
        return (f"the dump is much smaller than the last one ({sizes}): look whether data is missing, and soon",)
    return ()


def _zstd_version() -> str:
    return ".".join(str(part) for part in zstandard.ZSTD_VERSION)
