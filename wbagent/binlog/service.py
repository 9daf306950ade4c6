"""The loop of wbagent-binlog.service: look at the server, read, ship, note; whatever fails is tried again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from wbagent import __version__, events
from wbagent.binlog.catalog import read_catalog
from wbagent.binlog.events import MisreadError
from wbagent.binlog.gtid import GtidSet
from wbagent.binlog.lag import Coverage, Report
from wbagent.binlog.layout import FileId
from wbagent.binlog.packing import Packing
from wbagent.binlog.plan import Histories, Plan, decide, leads, whole
from wbagent.binlog.reader import Reader, replica_id
from wbagent.binlog.scan import Mark
from wbagent.binlog.shipping import AnotherFileError, Shipper
from wbagent.binlog.source import SourceServer
from wbagent.binlog.spool import Reading, Spool
from wbagent.bucket.store import Store
from wbagent.config.dsn import MysqlURL
from wbagent.config.model import BackupSettings
from wbagent.database.clients import check_client, find_client
from wbagent.database.facts import parse_version
from wbagent.errors import DatabaseError, WbagentError
from wbagent.quantities import format_duration
from wbagent.systemd import journal
from wbagent.systemd.notify import notify

# mysqlbinlog brings nothing although the server has something: its connection is dead without knowing it.
_STALLED_S: Final = 30.0
_LONGEST_PAUSE_S: Final = 60.0
_LOOK_AT_BACKUP_S: Final = 600.0
# A backup that does not help must not be made again and again.
_ASK_AGAIN_S: Final = 6 * 3600.0
_LAST_TRY_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest backup: whether there is one, and its position, if that was noted.

    `exact`: the transactions that a restore of it gives, None while that is not known. `begun_at`: wall-clock seconds.
    """

    exists: bool
    position: GtidSet | None
    exact: GtidSet | None
    begun_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the room above gives: the newest backup, a way to have one begun (if it can be), a place for the report."""

    newest_backup: Callable[[], Newest]
    start_backup: Callable[[], bool]
    note: Callable[[Report], None]


class Service:
    """Ships the binary logs of one server for one owner until it is stopped."""

    def __init__(
        self, settings: BackupSettings, url: MysqlURL, store: Store, directory: Path, hooks: Hooks, last: Report | None
    ) -> None:
        """`directory` is the spool; `last` what an earlier run noted."""
        self._settings = settings
        self._url = url
        self._store = store
        self._hooks = hooks
        self._spool = Spool(directory)
        self._source = SourceServer(url)
        self._packing = Packing(settings.compression_level, settings.encrypt_to)
        self._stored: dict[FileId, Mark] | None = None
        self._reader: Reader | None = None
        self._shipper: Shipper | None = None
        self._coverage = Coverage()
        now = time.time()
        if last is not None and last.owner != settings.owner:
            last = None
        self.report = (
            replace(last, noted_at=now, behind=True, problem="", hint="") if last else Report(now, now, settings.owner)
        )
        self._coverage.covered_at = self.report.covered_at
        self._trouble: WbagentError | None = None
        self._another: FileId | None = None
        self._stop = threading.Event()
        self._pause, self._next_try = settings.binlog.every, 0.0
        self._moved_at, self._seen = time.monotonic(), (GtidSet(), 0)
        self._backup_at = 0.0

    def stop(self) -> None:
        """End the loop soon; may be called from a signal handler."""
        self._stop.set()

    def run(self) -> None:
        """Go round until stopped, then ship what is there once more."""
        notify("READY=1")
        try:
            while not self._stop.is_set():
                self.round()
                self._stop.wait(self._settings.binlog.every)
        finally:
            notify("STOPPING=1")
            self._end()

    def round(self) -> None:
        """One look at everything; no error leaves it."""
        notify("WATCHDOG=1")
        known, problem = False, None
        try:
            known = self._look()
        except WbagentError as error:
            problem = error
        silent = isinstance(problem, DatabaseError)
        try:
            self._work()
        except MisreadError as error:
            problem = self._trouble = error
            self._another = error.file if isinstance(error, AnotherFileError) else None
            self._start_over()
        except WbagentError as error:
            self._trouble = error
            self._wait_longer()
        else:
            if self._reader is not None:
                self._trouble = None
        # Between two tries nothing fails, and nothing is mended either.
        problem = problem or self._trouble
        self._tell(problem, known=known, silent=silent)

    # --- the steps of a round ---

    def _look(self) -> bool:
        """See what the server has executed, and end a reader that does not belong to that any more."""
        received = self._shipper.received if self._shipper else GtidSet()
        uuid, executed, purged = self._source.executed()
        self._coverage.looked(executed, time.time())
        reading = self._spool.reading()
        if self._reader is None or reading is None:
            return True
        if uuid != reading.uuid or not received <= executed:
            journal.send("the server is another one, or its history is: reading begins anew")
            self._stop_reader()
        elif received and not purged <= received:
            # SET gtid_purged, as a dump that is loaded does: no binary log will ever bring these.
            journal.send("the server counts as executed what is in no binary log: reading begins anew")
            self._stop_reader()
        elif self._stalled(executed):
            journal.send(f"mysqlbinlog brought nothing for {format_duration(_STALLED_S)}: it is started again")
            self._stop_reader()
        return True

    def _stalled(self, executed: GtidSet) -> bool:
        shipper = self._shipper
        seen = (shipper.received if shipper else GtidSet(), self._spool.size())
        if seen != self._seen or executed <= seen[0]:
            self._seen, self._moved_at = seen, time.monotonic()
        return time.monotonic() - self._moved_at > _STALLED_S

    def _work(self) -> None:
        if self._reader is None and time.monotonic() >= self._next_try:
            self._begin()
        if self._shipper is not None:
            self._shipper.ship(self._going)
            self._coverage.stored(self._shipper.shipped)
        if self._reader is None:
            return
        if (ended := self._reader.ended()) is not None:
            self._stop_reader()
            raise DatabaseError(ended, hint="it is started again by itself; look at the server when this goes on")
        self._pause = self._settings.binlog.every
        self._look_at_backup()

    def _begin(self) -> None:
        """Ship what an earlier reader left, then read on where that ends."""
        if self._stored is None:
            self._stored = {file.id: file.mark for file in read_catalog(self._store, self._settings.owner)}
        if self._spool.reading() is not None:
            shipper = self._shipper or self._new_shipper(self._stored, GtidSet())
            self._shipper = shipper
            shipper.ship(self._going)
            self._coverage.stored(shipper.shipped)
            if self._stop.is_set():
                return
        offer = self._source.offer()
        client = find_client(self._settings.binlog.mysqlbinlog, "binlog.mysqlbinlog")
        check_client(client, parse_version(offer.version), "binlog.mysqlbinlog")
        plan = decide(self._stored, offer, self._hooks.newest_backup().position, self._another)
        if plan.gap:
            self._tell_gap(plan.gap)
        self._drop_shipper()
        self._spool.begin(Reading(offer.uuid, offer.version, plan.file, plan.position, str(offer.unlogged)))
        start = (plan.file, plan.position)
        self._reader = Reader(client, self._url, self._spool.directory, start, replica_id(self._settings.owner))
        self._shipper = self._new_shipper(self._stored, plan.have)
        self._moved_at, self._backup_at = time.monotonic(), 0.0
        self._tell_begin(plan)

    def _going(self) -> bool:
        """Between two pieces: keep the watchdog and the limit of the spool, and stop when asked to."""
        notify("WATCHDOG=1")
        if self._reader is not None and self._spool.size() > self._settings.binlog.spool_limit:
            # What is in it goes on being shipped; reading goes on behind that.
            self._stop_reader()
        return not self._stop.is_set()

    def _look_at_backup(self) -> None:
        """Have a backup made when the newest one cannot be rolled forward."""
        shipper = self._shipper
        if time.monotonic() < self._backup_at or not shipper or not (shipper.bytes or shipper.shipped):
            return
        newest, marks = self._hooks.newest_backup(), self._stored or {}
        last = shipper.id or max(marks)
        history = Histories(marks).of(last)
        of_it = newest.begun_at >= history.since
        stored = whole(mark for file, mark in marks.items() if file in history.files)
        if of_it and newest.exact is not None and leads(newest.exact, shipper.shipped, stored):
            self.report = replace(self.report, sound_at=time.time())
        settled = self.report.covered or not self.report.gap
        self._backup_at = time.monotonic() + (_LOOK_AT_BACKUP_S if settled else _LONGEST_PAUSE_S)
        wrong = ""
        if newest.exists and newest.position is None:
            wrong = "the newest backup has no position to begin from: wbagent backup show latest"
        elif newest.position is None or not of_it or not shipper.shipped - newest.position <= stored:
            wrong = "the newest backup is older than the binary logs" if newest.exists else "there is no backup yet"
            now = time.time()
            due = now - self.report.asked_at > _ASK_AGAIN_S or self.report.gap_at > self.report.asked_at
            if due and self._hooks.start_backup():
                journal.send(f"{wrong}: a new one is started", level="warning")
                self.report = replace(self.report, asked_at=now)
            self._backup_at = time.monotonic() + _LONGEST_PAUSE_S
        self.report = replace(self.report, backup=wrong)

    # --- ends ---

    def _stop_reader(self) -> None:
        if self._reader is not None:
            self._reader.stop()
            self._reader = None

    def _start_over(self) -> None:
        """What is in the spool or was remembered cannot be trusted: the bucket and the server decide."""
        self._stop_reader()
        self._drop_shipper()
        self._stored = None
        self._spool.forget()
        self._wait_longer()

    def _wait_longer(self) -> None:
        self._next_try = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, _LONGEST_PAUSE_S)

    def _new_shipper(self, stored: dict[FileId, Mark], before: GtidSet) -> Shipper:
        return Shipper(self._store, self._settings.owner, self._packing, self._spool, stored, before)

    def _drop_shipper(self) -> None:
        if self._shipper is not None:
            self._shipper.close()
            self._shipper = None

    def _end(self) -> None:
        self._stop_reader()
        deadline = time.monotonic() + _LAST_TRY_S
        try:
            if self._shipper is not None:
                self._shipper.ship(lambda: time.monotonic() < deadline)
                self._coverage.stored(self._shipper.shipped)
            self._tell(None, known=True)
        except WbagentError as error:
            self._tell(error, known=False)
        self._drop_shipper()
        self._source.close()

    # --- what is told ---

    def _tell(self, problem: WbagentError | None, *, known: bool, silent: bool = False) -> None:
        before, now = self.report, time.time()
        shipper = self._shipper
        self.report = replace(
            before,
            noted_at=now,
            covered_at=self._coverage.covered_at,
            behind=not known or self._coverage.behind or self._reader is None,
            last_at=max(before.last_at, (shipper.last_at if shipper else 0) / 1e6),
            file=(shipper.file if shipper else "") or before.file,
            problem=problem.message if problem else "",
            hint=problem.hint if problem else "",
            version=__version__,
            stored=(str(shipper.shipped) if shipper else "") or before.stored,
            silent=silent and bool(self._coverage.covered_at) and not self._coverage.behind,
        )
        if problem is not None and problem.message != before.problem:
            journal.send(
                f"binary logs are not stored: {problem.message}" + (f"\n  try: {problem.hint}" if problem.hint else ""),
                level="warning",
                message_id=events.BINLOG_INTERRUPTED,
                problem=problem.message,
            )
        notify(f"STATUS={self.report.line(now)}")
        self._hooks.note(self.report)

    def _tell_begin(self, plan: Plan) -> None:
        journal.send(
            f"storing binary logs of {self._url.address} in {self._store.address}, from {plan.file}:{plan.position} on",
            message_id=events.BINLOG_STARTED,
            file=plan.file,
            position=plan.position,
        )

    def _tell_gap(self, gap: str) -> None:
        self.report = replace(self.report, gap=gap, gap_at=time.time())
        # What the server had executed before is no measure any more.
        covered, self._coverage = self._coverage.covered_at, Coverage()
        self._coverage.covered_at = covered
        journal.send(
            f"there is a gap in the stored binary logs: {gap}; no restore can end within it",
            level="error",
            message_id=events.BINLOG_GAP,
            gap=gap,
        )
