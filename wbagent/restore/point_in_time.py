"""Restores a backup and rolls it forward to a moment, or to just before a transaction.

A database is rolled forward by the transactions that are its own. A clone that becomes a data directory is the whole
server, so it is by every transaction, under the server's own identifiers: it then holds exactly what the server had
executed at that point, which is compared, and can take the server's place or follow it as a replica.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from wbagent import events
from wbagent.age import Identity
from wbagent.backup.catalog import committed, read_catalog
from wbagent.backup.manifest import Manifest
from wbagent.backup.progress import Meter, Reporter
from wbagent.binlog.catalog import Catalog, StoredFile, read_whole
from wbagent.binlog.events import Event, MisreadError
from wbagent.binlog.fetching import fetch, read_events
from wbagent.binlog.gtid import GtidSet
from wbagent.binlog.scan import Done, Mark, advance
from wbagent.bucket.store import Store
from wbagent.config.dsn import MysqlURL
from wbagent.config.model import BackupSettings
from wbagent.database.account import MYSQLS_OWN
from wbagent.database.clients import check_client, find_client
from wbagent.database.connection import rows, session
from wbagent.database.facts import parse_version, read_server
from wbagent.database.instance import Instance
from wbagent.errors import DamagedError, RestoreError
from wbagent.restore.datadir import WAITS, executed, restore_datadir
from wbagent.restore.history import (
    NOTHING_KNOWN,
    Known,
    Step,
    choose_backup,
    executed_at,
    gone_by,
    last_file,
    of_history,
    passed,
    refuse_hole,
    spanning,
    steps,
)
from wbagent.restore.moments import candidates
from wbagent.restore.replay import Clients, Replay, refuse_unfit_account
from wbagent.restore.run import Restored, restore_backup
from wbagent.restore.statements import Scope
from wbagent.restore.survey import Survey, survey
from wbagent.restore.until import Until, show
from wbagent.systemd import journal

# The unit compares what is stored with what MySQL has when it begins, and only then.
STORE_AGAIN: Final = "what MySQL still has is stored again by: systemctl restart wbagent-binlog"


@dataclass(frozen=True, slots=True)
class Way:
    """The backup to begin with, what that holds, what is to be executed in the end, and what to apply for it."""

    backup: Manifest
    start: GtidSet
    wanted: GtidSet
    steps: tuple[Step, ...]


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
        self, target: MysqlURL | Path, name: str = "", known: Known = NOTHING_KNOWN, *, overwrite: bool = False
    ) -> RolledForward:
        """Choose, check, restore, roll forward.

        `target`: a database, or a data directory to be made. `name`: the backup to begin with, "" for the newest that
        will do; `known`: what this host noted of what it stored. Nothing is touched before everything that will be
        applied has been read once; what is not complete stays marked as half restored.
        """
        began = time.monotonic()
        way = self.find(name, known)
        programs = Clients(
            find_client(self._settings.mysql, "mysql"),
            find_client(self._settings.binlog.mysqlbinlog, "binlog.mysqlbinlog"),
        )
        scope = self._look(target, way.backup, programs)
        whole = sum(step.file.mark.end for step in way.steps)
        surveyed = survey(
            ((step, self._events(step.file)) for step in way.steps),
            scope,
            Meter("checking binary logs", self._report, expected=whole),
        )
        what = (self._store, self._settings, way.backup.id)
        if isinstance(target, Path):
            restored = restore_datadir(
                *what,
                target,
                self._report,
                overwrite=overwrite,
                identity=self._identity,
                checksums=self._checksums,
                forward=lambda server: self._advance(server, way, surveyed, programs, scope),
            )
        else:
            restored = restore_backup(
                *what,
                target,
                self._report,
                overwrite=overwrite,
                identity=self._identity,
                checksums=self._checksums,
                forward=lambda: self.roll_forward(way, surveyed, Replay(programs, target, scope)),
            )
        seconds = round(time.monotonic() - began, 3)
        self._tell(restored, surveyed, seconds)
        return RolledForward(restored, surveyed, seconds)

    def find(self, name: str, known: Known) -> Way:
        """The way to the point. A backup that its drill found bad is taken only when `name` is its id."""
        stored = read_whole(self._store, self._settings.owner)
        try:
            return self._find(name, known, stored)
        except RestoreError as error:
            if lost := known.lost(stored.files):
                error.also(f"{len(lost)} transactions that this host had stored are gone from there", STORE_AGAIN)
            for key in stored.unreadable[-1:]:
                again = STORE_AGAIN if stored.newest_unreadable and not lost else ""
                error.also(f"the record {key} cannot be read, nor the piece that it is of", again)
            raise

    def _find(self, name: str, known: Known, stored: Catalog) -> Way:
        owner, files = self._settings.owner, stored.files
        backups = committed(read_catalog(self._store, owner))
        if name and name != "latest":
            backups = tuple(each for each in backups if each.id == name)
        seen = {file.id: self._transactions(file) for file in spanning(files, self._until)}
        newest = {file: max(each.committed_at for each in gone_by(done, self._until)) for file, done in seen.items()}
        last = last_file(files, self._until, known.until_by(files), newest)
        history, files = of_history(last.id, files)
        refuse_hole(last, files, self._until)
        wanted = executed_at(last, seen.get(last.id) or self._transactions(last), self._until)
        found = candidates(self._store, backups)
        if name and name != "latest":
            found = tuple(replace(each, bad=False) for each in found)
        chosen = choose_backup(found, files, wanted, self._until, history.since)
        start = chosen.position or GtidSet()
        return Way(next(each for each in backups if each.id == chosen.id), start, wanted, steps(files, start, wanted))

    def roll_forward(self, way: Way, surveyed: Survey, replay: Replay) -> None:
        """Apply what the survey allowed to what the backup's restore made."""
        with replay as running:
            meter = Meter("applying binary logs", self._report, expected=sum(surveyed.ends))
            for step, end in zip(way.steps, surveyed.ends, strict=True):
                chosen = step.gtids - surveyed.left_out
                if chosen:
                    running.apply(self._metered(step.file, end, meter), chosen)
            running.finish()
            meter.done()

    def _metered(self, file: StoredFile, upto: int, meter: Meter) -> Iterator[bytes]:
        for chunk in fetch(self._store, self._settings.owner, self._identity, file, upto):
            meter.add(len(chunk))
            yield chunk

    def _events(self, file: StoredFile) -> Iterator[Event]:
        return read_events(self._store, self._settings.owner, self._identity, file, file.mark.end)

    def _transactions(self, file: StoredFile) -> tuple[Done, ...]:
        """Those of a file in order: all of them, or up to a damaged piece that lies behind the point."""
        found: list[Done] = []
        mark = Mark()
        try:
            for event in self._events(file):
                mark, done = advance(mark, event)
                if done is not None:
                    found.append(done)
        except MisreadError as error:
            if not passed(found, self._until):
                if found:
                    error.hint = f'the latest before the damage: --at "{show(found[-1].committed_at)}"; {error.hint}'
                raise
        return tuple(found)

    def _advance(self, server: Instance, way: Way, surveyed: Survey, programs: Clients, scope: Scope | None) -> None:
        """Roll a server of ours forward, and prove of a whole one that it came exactly where it was to."""
        replay = Replay(programs, server.url(way.backup.database.name), scope)
        if scope is not None:
            self.roll_forward(way, surveyed, replay)
            return
        # Opened before the server begins to look at its accounts.
        with session(server.url()) as connection:
            _compare("the backup", GtidSet.parse(executed(connection)), way.start)
            rows(connection, WAITS)
            self.roll_forward(way, surveyed, replay)
            _compare("what was rolled forward", GtidSet.parse(executed(connection)), way.wanted)

    def _look(self, target: MysqlURL | Path, backup: Manifest, programs: Clients) -> Scope | None:
        """What may be applied there, None for everything; refuses programs and accounts that would not do."""
        name = backup.database.name
        if backup.server.lower_case_table_names == 1:
            # As that server's log names it, however the connection string did.
            name = name.lower()
        if isinstance(target, Path):
            check_client(programs.mysqlbinlog, parse_version(backup.server.version), "binlog.mysqlbinlog")
            folds = bool(backup.server.lower_case_table_names)
            return None if backup.engine == "clone" else Scope(name, name, MYSQLS_OWN, folds)
        with session(target, database="") as connection:
            server = read_server(connection)
            check_client(programs.mysqlbinlog, server.version, "binlog.mysqlbinlog")
            refuse_unfit_account(server)
            others = frozenset(str(found) for (found,) in rows(connection, "SHOW DATABASES"))
        folds = bool(server.lower_case_table_names or backup.server.lower_case_table_names)
        return Scope(name, target.database, others, folds)

    def _tell(self, restored: Restored, surveyed: Survey, seconds: float) -> None:
        last = surveyed.last
        reached = f", the last {last.gtid} of {show(last.committed_at)}" if last else ""
        journal.send(
            f"rolled {restored.target} forward from backup {restored.manifest.id} to {self._until}:"
            f" {surveyed.count} transactions{reached}",
            message_id=events.RESTORE_DONE,
            id=restored.manifest.id,
            transactions=surveyed.count,
            duration=seconds,
        )


def _compare(what: str, found: GtidSet, expected: GtidSet) -> None:
    if found == expected:
        return
    raise DamagedError(
        f"{what} holds other transactions than it should: without {str(expected - found)[:200] or 'none'}, beside them"
        f" {str(found - expected)[:200] or 'none'}",
        hint="begin with another backup: wbagent restore ID --at …; wbagent backup list",
    )
