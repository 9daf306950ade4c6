"""The engine that works everywhere: MySQL's own mysqldump, as one stream of SQL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Final

from wbagent.backup.engines.dump import Dump, PositionPlan, dump_options, plan_position
from wbagent.backup.engines.dump_text import DumpText
from wbagent.backup.engines.engine import Taken
from wbagent.backup.layout import DUMP
from wbagent.backup.manifest import EngineName
from wbagent.backup.rows import RowCounter
from wbagent.backup.source import Source, check_unchanged, some
from wbagent.config import embedded as own
from wbagent.config.dsn import MysqlURL
from wbagent.database.clients import check_client, find_client
from wbagent.database.schema import DatabaseFacts
from wbagent.errors import BackupError


class Mysqldump:
    """Dumps one database with --single-transaction."""

    name: Final[EngineName] = "mysqldump"
    file: Final = DUMP
    compressed: Final = False
    stage: Final = "dumping"

    def __init__(self, url: MysqlURL, program: str, source: Source) -> None:
        """`program`: a name on PATH or an absolute path. Raises DatabaseError, BackupError for what cannot end well."""
        self._url = url
        self._source = source
        self._client = find_client(program, "mysqldump")
        older = check_client(self._client, source.server.version, "mysqldump")
        _refuse_unreadable(source)
        # The account of an embedded server cannot be given more rights, and its binary log dies with its volume.
        embedded = url == own.MYSQL
        plan = PositionPlan(False) if embedded else plan_position(source.server, source.long_queries)
        self.options = tuple(dump_options(self._client, position=plan.wanted))
        self.warnings = (*older, *filter(None, [plan.warning]), *inexact(source.database))

    @property
    def largest(self) -> int:
        return self._source.database.size

    @property
    def tools(self) -> Mapping[str, str]:
        return {"mysqldump": self._client.text}

    @contextmanager
    def take(self) -> Iterator[_Stream]:
        with ExitStack() as stack:
            counter = RowCounter(self._url, self._source.server)
            stack.callback(counter.stop)
            dump = stack.enter_context(Dump(self._client, self._url, self.options))
            yield _Stream(self._url, self._source, dump, counter)


class _Stream:
    """A running mysqldump, its text filtered, and the counting of rows beside it."""

    def __init__(self, url: MysqlURL, source: Source, dump: Dump, counter: RowCounter) -> None:
        self._url = url
        self._source = source
        self._dump = dump
        self._counter = counter
        self._text = DumpText()
        self._complaints: tuple[str, ...] = ()

    def chunks(self) -> Iterator[bytes]:
        counting = False
        for chunk in self._dump.chunks():
            yield self._text.feed(chunk)
            if self._text.began and not counting:
                counting = True
                # Of other engines no two looks are of one moment.
                tables = [table for table in self._source.database.tables if table.engine == "InnoDB"]
                largest_last = sorted(tables, key=lambda table: table.size)
                self._counter.begin(table.name for table in largest_last)
        self._complaints = self._dump.finish()
        yield self._text.finish()

    def finish(self) -> Taken:
        counted = self._counter.stop()
        news = check_unchanged(self._url, self._source, self._text.tables)
        return Taken(self._text.position, counted, (*self._complaints, *news))


def _refuse_unreadable(source: Source) -> None:
    """Raise BackupError for a database whose dump would end half-way."""
    hidden = source.database.hidden_routines
    if hidden:
        raise BackupError(
            f"the account may not read {', '.join(hidden[:5])}, so the dump would end half-way",
            hint=f"on MySQL's host: {source.server.grants.command(['SHOW_ROUTINE'])}",
        )


def inexact(database: DatabaseFacts) -> tuple[str, ...]:
    """Warnings about what mysqldump does not carry over to the last bit."""
    warnings = []
    if database.float_columns:
        warnings.append(
            "FLOAT columns keep 6 significant digits in a dump, the rest is lost: " + some(database.float_columns)
        )
    others = [f"{table.name} ({table.engine})" for table in database.tables if table.engine != "InnoDB"]
    if others:
        warnings.append("tables that are not InnoDB are not of the same moment as the rest: " + some(others))
    return tuple(warnings)
