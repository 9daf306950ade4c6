"""The engine for large databases on another host: mydumper, several threads into files, stored as one tar."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from wbagent.backup.engines.engine import Taken, WhyNot
from wbagent.backup.engines.growth import Growth
from wbagent.backup.engines.mydumper_checks import Program, Room, loses, options, session_variables
from wbagent.backup.engines.mydumper_metadata import Metadata
from wbagent.backup.engines.mydumper_run import check_files, run
from wbagent.backup.engines.mysqldump import inexact
from wbagent.backup.engines.tar_stream import tar_stream
from wbagent.backup.layout import MYDUMPER
from wbagent.backup.manifest import EngineName
from wbagent.backup.progress import Meter, Reporter
from wbagent.backup.source import Source, check_unchanged
from wbagent.config.dsn import MysqlURL

_MOST_THREADS: Final = 4


class Mydumper:
    """Dumps one database into a directory of its own below `directory`, and streams it as a tar.

    Not by mydumper's --stream: its snapshot would be held for as long as the upload takes, and nothing could be looked
    at before it is stored.
    """

    name: Final[EngineName] = "mydumper"
    file: Final = MYDUMPER
    compressed: Final = True
    stage: Final = "storing"

    def __init__(
        self, url: MysqlURL, program: Program, source: Source, directory: Path, level: int, report: Reporter
    ) -> None:
        """For a server of which `why_no_mydumper` says nothing; `level` is zstd's."""
        self._url = url
        self._program = program
        self._source = source
        self._directory = directory
        self._report = report
        self.options = tuple(options(source.server, level, min(_MOST_THREADS, os.cpu_count() or 1)))
        self.warnings = (*inexact(source.database), *filter(None, [loses(source.database)]))

    @property
    def largest(self) -> int:
        return self._source.database.size

    @property
    def tools(self) -> Mapping[str, str]:
        return {"mydumper": self._program.text}

    @contextmanager
    def take(self) -> Iterator[_Stream]:
        target = self._directory / f"dump-{uuid.uuid4().hex}"
        try:
            with Growth(target, Meter("dumping", self._report)):
                warnings = run(
                    self._program.path,
                    self._url,
                    self.options,
                    session_variables(self._source.server.version),
                    target,
                )
            metadata = check_files(target, [table.name for table in self._source.database.tables])
            yield _Stream(self._url, self._source, target, metadata, warnings)
        finally:
            shutil.rmtree(target, ignore_errors=True)


class _Stream:
    """A finished dump."""

    def __init__(
        self, url: MysqlURL, source: Source, target: Path, metadata: Metadata, warnings: tuple[str, ...]
    ) -> None:
        self._url = url
        self._source = source
        self._target = target
        self._metadata = metadata
        self._warnings = warnings

    def chunks(self) -> Iterator[bytes]:
        yield from tar_stream(self._target)

    def finish(self) -> Taken:
        position, rows = self._metadata.position, self._metadata.rows
        news = check_unchanged(self._url, self._source, list(rows))
        lost = self._source.server.binary_log and position is None
        unknown = ("the binary log's position is not noted: mydumper's metadata has none",) if lost else ()
        return Taken(position, rows, (*self._warnings, *unknown, *news))


def room(directory: Path) -> Room | WhyNot:
    """Make the directory that dumps wait in, and see how much is free."""
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        found = os.statvfs(directory)
    except OSError as error:
        return WhyNot(f"{directory} cannot be made: {error.strerror}", "look at the state directory")
    return Room(directory, found.f_bavail * found.f_frsize)
