"""The steps of one backup up to its commit record: look, take, prove, commit."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import zstandard

from wbagent import __version__, events
from wbagent.backup import drill_key
from wbagent.backup.engines.choose import Choice, Offer, choices
from wbagent.backup.engines.clone_directory import clear
from wbagent.backup.engines.engine import Engine, Taken, UnfitError
from wbagent.backup.files import fetched, store_files
from wbagent.backup.layout import backup_id, manifest_key, owner_prefix
from wbagent.backup.manifest import (
    IN_PIECES,
    WHOLE,
    DatabaseRecord,
    DefinitionRecord,
    Encryption,
    FilesRecord,
    Manifest,
    ServerRecord,
    StoredObject,
    TableRecord,
)
from wbagent.backup.pipeline import Packing, packed
from wbagent.backup.progress import Meter, Reporter
from wbagent.backup.source import Source, look, unseen
from wbagent.backup.storing import Storing, size_for
from wbagent.bucket.store import NotAllowedError, Store
from wbagent.config.dsn import MysqlURL
from wbagent.config.model import BackupSettings
from wbagent.errors import BackupError, DatabaseError
from wbagent.quantities import format_size
from wbagent.systemd import journal

Clock = Callable[[], float]
_SUSPICIOUS_SHARE: Final = 0.5


@dataclass(frozen=True, slots=True)
class Origin:
    """What is backed up: a database and, of an embedded server, the files that are behind this socket.

    `loadable`: as statements, which any account can load back, whatever the configured engine is.
    """

    url: MysqlURL
    files: Path | None = None
    loadable: bool = False


@dataclass(frozen=True, slots=True)
class Previous:
    """The last backup of this owner; `size` in bytes before compression, which says nothing of another engine's."""

    engine: str = ""
    size: int = 0

    def by(self, engine: str) -> int:
        """Its size if it was made by the engine of this name, else 0."""
        return self.size if self.engine == engine else 0


class Making:
    """The steps of one backup, with what they share."""

    def __init__(
        self, settings: BackupSettings, source: Origin, store: Store, staging: Path, report: Reporter, clock: Clock
    ) -> None:
        """`staging`: a directory of this backup alone, for what has to be a file before it is stored."""
        self._settings = settings
        self._url = source.url
        self._files_socket = source.files
        self._loadable = source.loadable
        self._store = store
        self._staging = staging
        self._report = report
        self._clock = clock

    @property
    def database(self) -> str:
        """Its name."""
        return self._url.database

    def look(self) -> Source:
        """What there is to back up. Raises BucketError, DatabaseError, BackupError."""
        self._store.check_ready()
        return look(self._url)

    def make(self, source: Source, previous: Previous) -> Manifest:
        """Take, prove, commit."""
        started, began = self._clock(), time.monotonic()
        # Of a run that was killed; also where this one has no use for the directory.
        clear(self._staging)
        offer = Offer(self._settings, self._url, source, self._staging, self._report)
        offered = choices(offer, loadable=self._loadable)
        choice = next(offered)
        owner = self._settings.owner
        name = self._free_id(started)
        journal.send(
            f"backing up {self._url.address} to {self._store.address} as {name}, with {choice.engine.name}"
            f" ({choice.reason})",
            message_id=events.BACKUP_STARTED,
            id=name,
            tables=len(source.database.tables),
        )
        packing, encryption = self._packing()
        choice, stored, taken, troubles = self._take_by_choice(choice, offered, name, packing, previous)
        engine = choice.engine
        archive, files = self._store_files(owner, name, packing)
        shrunk = _shrunk(stored.plain_size, previous.by(engine.name))
        manifest = Manifest(
            format=IN_PIECES if any(each.pieces for each in (stored, *archive)) else WHOLE,
            id=name,
            owner=owner,
            host=socket.gethostname(),
            engine=engine.name,
            engine_reason=troubles[-1] if troubles else choice.reason,
            options=engine.options,
            tools={"wbagent": __version__, **engine.tools, "zstd": _zstd_version()},
            objects=(stored, *archive),
            files=files,
            encryption=encryption,
            position=taken.position,
            started_at=datetime.fromtimestamp(started, UTC),
            finished_at=datetime.fromtimestamp(self._clock(), UTC),
            duration_s=round(time.monotonic() - began, 3),
            warnings=(*troubles, *engine.warnings, *taken.warnings, *unseen(source), *shrunk, *_unread(self._settings)),
            **_described(source, self._url, taken.rows),
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

    def _packing(self) -> tuple[Packing, Encryption | None]:
        """How everything of this backup is stored; the drill's key of the last backup is gone after this."""
        settings = self._settings
        if not settings.encrypt_to:
            drill_key.forget()
            return Packing(settings.compression_level, settings.compression_threads), None
        encryption = Encryption(recipients=settings.encrypt_to, drill=drill_key.renew())
        recipients = (*encryption.recipients, encryption.drill)
        return Packing(settings.compression_level, settings.compression_threads, recipients), encryption

    def _take_by_choice(
        self, choice: Choice, others: Iterator[Choice], name: str, packing: Packing, previous: Previous
    ) -> tuple[Choice, StoredObject, Taken, tuple[str, ...]]:
        """Take it with the chosen engine, or with the next best where one finds that it cannot begin."""
        troubles: list[str] = []
        while True:
            try:
                return choice, *self._take(choice.engine, name, packing, previous), tuple(troubles)
            except UnfitError as error:
                other = _next_best(others)
                if other is None:
                    raise
                troubles.append(f"{other.engine.name} instead of {choice.engine.name}: {error.message} ({error.hint})")
                journal.send(troubles[-1], level="warning", id=name)
                choice = other

    def _take(self, engine: Engine, name: str, packing: Packing, previous: Previous) -> tuple[StoredObject, Taken]:
        """Stream into the store; all is there and proven when this returns, and nothing is when it raises."""
        settings = self._settings
        packing = replace(packing, level=None) if engine.compressed else packing
        file, object_size = engine.file + packing.suffix, size_for(engine.largest, settings.object_size)
        with Storing(self._store, (settings.owner, name), file, object_size, read_back=settings.read_back) as storing:
            with engine.take() as stream:
                # Not before: a clone has a stage of its own first.
                meter = Meter(engine.stage, self._report, expected=previous.by(engine.name))
                with packed(packing, storing, meter) as pipeline:
                    for chunk in stream.chunks():
                        pipeline.write(chunk)
                    plain = pipeline.finish()
                taken = stream.finish()
                storing.commit()
            return storing.proven(plain, self._report), taken

    def _store_files(
        self, owner: str, name: str, packing: Packing
    ) -> tuple[tuple[StoredObject, ...], FilesRecord | None]:
        if self._files_socket is None:
            return (), None
        with fetched(self._files_socket) as archive:
            stored = store_files(archive, self._store, (owner, name), packing, self._settings, self._report)
        return (stored,), FilesRecord(file=stored.file, members=archive.members)

    def _commit(self, manifest: Manifest) -> None:
        """Write the commit record and read it back: from here on the backup exists."""
        key, data = manifest_key(manifest.owner, manifest.id), manifest.to_bytes()
        self._store.put(key, data)
        if self._settings.read_back and b"".join(self._store.get(key)) != data:
            raise BackupError(
                f"{self._store.address} holds something else than was sent for {key}", hint="do not trust this store"
            )


def _next_best(others: Iterator[Choice]) -> Choice | None:
    """The next engine; that it cannot be used either is told, but is not why there is no backup."""
    try:
        return next(others, None)
    except (BackupError, DatabaseError) as error:
        journal.send(f"there is no other engine: {error.message}", level="warning")
        return None


def _described(source: Source, url: MysqlURL, counts: Mapping[str, int]) -> dict[str, Any]:
    database, server = source.database, source.server
    return {
        "server": ServerRecord(
            version=server.version_text,
            comment=server.comment,
            host=server.host,
            uuid=server.uuid,
            lower_case_table_names=server.lower_case_table_names,
            page_size=server.page_size,
            data_file_path=server.data_file_path,
        ),
        "database": DatabaseRecord(
            name=database.name,
            address=url.address,
            charset=database.charset,
            collation=database.collation,
            data_bytes=database.size,
        ),
        "tables": tuple(
            TableRecord(
                name=table.name,
                engine=table.engine,
                rows=counts.get(table.name),
                rows_estimate=table.rows_estimate,
                auto_increment=table.auto_increment,
            )
            for table in database.tables
        ),
        "views": database.views,
        "routines": database.routines,
        "triggers": database.triggers,
        "events": database.events,
        "definers": database.definers,
        "definitions": tuple(
            DefinitionRecord(object=each.object, sha256=each.sha256, sql_mode=each.sql_mode)
            for each in source.definitions
        ),
    }


def _shrunk(size: int, previous: int) -> tuple[str, ...]:
    if previous and size < previous * _SUSPICIOUS_SHARE:
        sizes = f"{format_size(size)} after {format_size(previous)}"
        return (f"the backup is much smaller than the last one ({sizes}): look whether data is missing, and soon",)
    return ()


def _unread(settings: BackupSettings) -> tuple[str, ...]:
    return () if settings.read_back else ("it was not read back (read_back = false): the store's checksums had to do",)


def _zstd_version() -> str:
    return ".".join(str(part) for part in zstandard.ZSTD_VERSION)
