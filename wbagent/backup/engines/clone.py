"""The engine for a server on this host: MySQL clones its own data files, exact and at disk speed, and they are read.

CLONE LOCAL (MySQL manual, "Cloning Data Locally") copies all InnoDB data of the server as of the end of the copy, with
gtid_executed, while writers go on. The clone is a data directory that mysqld starts on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from wbagent.backup.engines.clone_directory import fresh_name
from wbagent.backup.engines.clone_run import cloned
from wbagent.backup.engines.engine import Taken, UnfitError
from wbagent.backup.engines.tar_stream import tar_stream
from wbagent.backup.layout import DATADIR
from wbagent.backup.manifest import EngineName, Position
from wbagent.backup.progress import Meter, Reporter
from wbagent.backup.rows import RowCounter
from wbagent.backup.source import Source, check_unchanged, some
from wbagent.config.dsn import MysqlURL
from wbagent.database.clone import CloneFacts
from wbagent.database.connection import rows, session
from wbagent.database.facts import ServerFacts
from wbagent.errors import DatabaseError

# Counting reads a table into the server's memory, from where it drives out what people work with.
_LARGEST_COUNTED: Final = 16 << 20
_COUNTED_IN_ALL: Final = 128 << 20


class Clone:
    """Takes a clone of the whole server into `directory`, and streams it as a tar."""

    name: Final[EngineName] = "clone"
    file: Final = DATADIR
    compressed: Final = False
    stage: Final = "storing"
    options: tuple[str, ...] = ("CLONE LOCAL DATA DIRECTORY",)

    def __init__(self, url: MysqlURL, directory: Path, source: Source, facts: CloneFacts, report: Reporter) -> None:
        """For a server of which `why_no_clone` says nothing."""
        self._url = url
        self._directory = directory
        self._source = source
        self._facts = facts
        self._report = report
        self.warnings = (
            (f"the clone is of the whole server, and holds these databases too: {some(facts.others)}",)
            if facts.others
            else ()
        )

    @property
    def largest(self) -> int:
        return self._facts.data_bytes

    @property
    def tools(self) -> Mapping[str, str]:
        return {}

    @contextmanager
    def take(self) -> Iterator[_Stream]:
        target = self._directory / fresh_name()
        before = _position(self._url, self._source)
        meter = Meter("cloning", self._report, expected=self._facts.data_bytes)
        with cloned(self._url, target, meter), ExitStack() as stack:
            if not (target / "ibdata1").exists():
                raise UnfitError(
                    f"the server cloned into {target}, but nothing is there on this host: it runs in another file"
                    " system",
                    hint='a server in a container: write engine = "mysqldump" in [backup]',
                )
            counter = RowCounter(self._url, self._source.server)
            stack.callback(counter.stop)
            position = moment(before, _position(self._url, self._source), self._source.server)
            still_now = position is not None and position.exact
            if not still_now:
                # Its snapshot would hold the server back for nothing.
                counter.stop()
            yield _Stream(self._url, self._source, target, position, counter if still_now else None)


def moment(before: Position | None, after: Position | None, server: ServerFacts) -> Position | None:
    """The position of a clone that was made between the two.

    Invariant: `exact` only when not one transaction was committed between them. The log's end and the set of GTIDs
    both stood still: what is being committed is in the log before it is in the set.
    """
    still = server.gtid_mode and before is not None and before.gtid_set and before == after
    return before.model_copy(update={"exact": True}) if before and still else before


def small_tables(source: Source) -> tuple[str, ...]:
    """Those that are counted: what costs the server next to nothing, the smallest first."""
    chosen, whole = [], 0
    for table in sorted(source.database.tables, key=lambda table: table.size):
        whole += table.size
        if table.size > _LARGEST_COUNTED or whole > _COUNTED_IN_ALL:
            break
        chosen.append(table.name)
    return tuple(chosen)


class _Stream:
    """A finished clone, and the counting of rows beside it where the clone's moment is still now."""

    def __init__(
        self, url: MysqlURL, source: Source, target: Path, position: Position | None, counter: RowCounter | None
    ) -> None:
        self._url = url
        self._source = source
        self._target = target
        self._position = position
        self._counter = counter

    def chunks(self) -> Iterator[bytes]:
        if self._counter:
            self._counter.begin(small_tables(self._source))
        yield from tar_stream(self._target, owner="mysql")

    def finish(self) -> Taken:
        counted = self._counter.stop() if self._counter else {}
        # The clone itself is whole whatever DDL did meanwhile; but nobody could say what has to be in it.
        tables = [table.name for table in self._source.database.tables]
        return Taken(self._position, counted, check_unchanged(self._url, self._source, tables))


def _position(url: MysqlURL, source: Source) -> Position | None:
    """Where the binary log stands before the clone: everything up to there is in it, and usually more."""
    if not source.server.binary_log:
        return None
    statement = "SHOW BINARY LOG STATUS" if source.server.version >= (8, 2, 0) else "SHOW MASTER STATUS"
    try:
        with session(url) as connection:
            found = rows(connection, statement)
    except DatabaseError:
        return None
    if not found:
        return None
    file, offset, *_, gtid_set = found[0]
    return Position(gtid_set=str(gtid_set).replace("\n", "") or None, file=str(file), offset=int(offset), exact=False)
