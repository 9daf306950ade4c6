"""Restores a backup and rolls it forward to a moment, or to just before a transaction."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from wbagent import events
from wbagent.age import Identity
from wbagent.backup.binlogs import exact_position
from wbagent.backup.catalog import committed, read_catalog
from wbagent.backup.manifest import Manifest
from wbagent.backup.progress import Meter, Reporter
from wbagent.binlog.catalog import StoredFile
from wbagent.binlog.catalog import read_catalog as read_binlogs
from wbagent.binlog.events import Event, statements
from wbagent.binlog.fetching import fetch, read_events
from wbagent.binlog.gtid import Gtid, GtidSet
from wbagent.binlog.scan import Done, Mark, Open, advance
from wbagent.bucket.store import Store
from wbagent.config.dsn import MysqlURL
from wbagent.config.model import BackupSettings
from wbagent.database.clients import check_client, find_client
from wbagent.database.connection import rows, session
from wbagent.database.facts import ServerFacts, read_server
from wbagent.errors import RestoreError
from wbagent.restore.history import (
    Candidate,
    Step,
    choose_backup,
    executed_at,
    gone_by,
    gtids_of,
    last_file,
    spanning,
    steps,
)
from wbagent.restore.replay import Clients, Replay, refuse_unfit_account
from wbagent.restore.run import Restored, restore_backup
from wbagent.restore.statements import Scope, judge
from wbagent.restore.until import Until, show
from wbagent.systemd import journal


@dataclass(frozen=True, slots=True)
class Way:
    """The backup to begin with, and what to apply after it."""

    backup: Manifest
    wanted: GtidSet
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Survey:
    """What the binary logs of a way hold: transactions to apply, the last of them, and what is left out of them."""

    count: int
    last: Done | None
    left_out: GtidSet
    ends: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class RolledForward:
    """What was done: the restore of the backup, and what followed."""

    restored: Restored
    survey: Survey
    duration_s: float


class PointInTime:
    """One restore to a point. Every method raises RestoreError, DatabaseError, BucketError."""

    def __init__(
        self,
        store: Store,
        backup: BackupSettings,
        until: Until,
        identity: Identity | None,
        report: Reporter,
        *,
        checksums: bool = True,
    ) -> None:
        """`checksums` is as in `restore_backup`, for the backup that it begins with."""
        self._store = store
        self._settings = backup
        self._identity = identity
        self._until = until
        self._report = report
        self._checksums = checksums

    def restore(
        self, target: MysqlURL, name: str = "", known_until: float = 0.0, *, overwrite: bool = False
    ) -> RolledForward:
        """Choose, check, restore, roll forward.

        `name`: the backup to begin with, "" for the newest that will do. `known_until`: wall-clock seconds up to which
        everything is known to be stored. Nothing is touched before everything that will be applied has been read once.
        """
        began = time.monotonic()
        way = self.find(name, round(known_until * 1e6))
        programs = Clients(
            find_client(self._settings.mysql, "mysql"),
            find_client(self._settings.binlog.mysqlbinlog, "binlog.mysqlbinlog"),
        )
        server, scope = self._look(target, way.backup, programs)
        survey = self._survey(way, scope)
        restored = restore_backup(
            self._store,
            self._settings,
            way.backup.id,
            target,
            self._report,
            overwrite=overwrite,
            identity=self._identity,
            checksums=self._checksums,
        )
        self.roll_forward(way, survey, Replay(programs, target, scope))
        seconds = round(time.monotonic() - began, 3)
        self._tell(restored, survey, seconds, server)
        return RolledForward(restored, survey, seconds)

    def find(self, name: str, known_until: int) -> Way:
        """The way to the point; `known_until` in microseconds."""
        owner = self._settings.owner
        files = read_binlogs(self._store, owner)
        backups = committed(read_catalog(self._store, owner))
        if name and name != "latest":
            backups = tuple(each for each in backups if each.id == name)
        seen = {file.id: tuple(self._transactions(file)) for file in spanning(files, self._until)}
        newest = {file: max(each.committed_at for each in gone_by(done, self._until)) for file, done in seen.items()}
        last = last_file(files, self._until, known_until, newest)
        wanted = executed_at(last, seen.get(last.id) or tuple(self._transactions(last)), self._until)
        candidates = [Candidate(each.id, exact_position(self._store, each)) for each in backups]
        chosen = choose_backup(candidates, files, wanted, self._until)
        return Way(
            next(each for each in backups if each.id == chosen.id),
            wanted,
            steps(files, chosen.position or GtidSet(), wanted),
        )

    def roll_forward(self, way: Way, survey: Survey, replay: Replay) -> None:
        """Apply what the survey allowed to what the backup's restore made."""
        whole = sum(survey.ends)
        meter = Meter("applying binary logs", self._report, expected=whole)
        with replay as running:
            for step, end in zip(way.steps, survey.ends, strict=True):
                chosen = step.gtids - survey.left_out
                if chosen:
                    running.apply(self._metered(step.file, end, meter), chosen)
            running.finish()
        meter.done()

    def _metered(self, file: StoredFile, upto: int, meter: Meter) -> Iterator[bytes]:
        for chunk in fetch(self._store, self._settings.owner, self._identity, file, upto):
            meter.add(len(chunk))
            yield chunk

    def _transactions(self, file: StoredFile) -> Iterator[Done]:
        mark = Mark()
        for event in read_events(self._store, self._settings.owner, self._identity, file, file.mark.end):
            mark, done = advance(mark, event)
            if done is not None:
                yield done

    def _look(self, target: MysqlURL, backup: Manifest, programs: Clients) -> tuple[ServerFacts, Scope]:
        with session(target, database="") as connection:
            server = read_server(connection)
            check_client(programs.mysqlbinlog, server.version, "binlog.mysqlbinlog")
            refuse_unfit_account(server)
            others = frozenset(str(name) for (name,) in rows(connection, "SHOW DATABASES"))
        return server, Scope(backup.database.name, target.database, others)

    def _survey(self, way: Way, scope: Scope) -> Survey:
        """Read everything that will be applied: nothing in it is damaged, and no statement does harm."""
        meter = Meter("checking binary logs", self._report, expected=sum(step.file.mark.end for step in way.steps))
        left_out: list[Done] = []
        count, last, ends = 0, None, []
        for step in way.steps:
            mark, end = Mark(), 0
            for event in read_events(self._store, self._settings.owner, self._identity, step.file, step.file.mark.end):
                meter.add(len(event.data))
                if mark.open is not None and mark.open.gtid in step.gtids:
                    left_out += _left_out(event, mark.open, scope)
                mark, done = advance(mark, event)
                if done is not None and done.gtid in step.gtids:
                    count, last, end = count + 1, done, event.end
            ends.append(end)
        meter.done()
        left = gtids_of(left_out)
        return Survey(count - len(left), last, left, tuple(ends))

    def _tell(self, restored: Restored, survey: Survey, seconds: float, server: ServerFacts) -> None:
        reached = (
            f"{survey.last.gtid} of {show(survey.last.committed_at)}" if survey.last else "nothing was to be applied"
        )
        journal.send(
            f"rolled {restored.target} forward from backup {restored.manifest.id} to {self._until}:"
            f" {survey.count} transactions, the last {reached}",
            message_id=events.RESTORE_DONE,
            id=restored.manifest.id,
            transactions=survey.count,
            duration=seconds,
            server=server.version_text,
        )


def _left_out(event: Event, running: Open, scope: Scope) -> Iterator[Done]:
    """The running transaction, if a statement in this event is not to be applied; RestoreError if neither is right."""
    for each in statements(event):
        verdict = judge(each, scope)
        if verdict.refusal:
            raise _refused(verdict.refusal, running.gtid, running.committed_at)
        if not verdict.apply:
            yield Done(running.gtid, running.committed_at)


def _refused(reason: str, gtid: Gtid, committed_at: int) -> RestoreError:
    return RestoreError(
        f"the transaction {gtid}, of {show(committed_at)}, cannot be applied here: {reason}; nothing was touched",
        hint=f"restore to before it (--before-gtid {gtid}), or into a database of the original name on another server",
    )
