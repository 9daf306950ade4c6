"""Which backup and which stored binary logs lead to a moment: pure decisions over sets of transactions.

Invariant: what is applied after the backup is exactly the transactions that the server had executed at that point and
that the backup lacks, each once and none before what it was executed after. Clocks only choose the point; which
transactions lie before it is what the server itself wrote at the head of that file. So a transaction that was stored
but lost in a failover is left out, as the server that went on never had it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Self

from wbagent.binlog.catalog import StoredFile
from wbagent.binlog.gtid import GtidSet
from wbagent.binlog.lag import Report
from wbagent.binlog.layout import FileId
from wbagent.binlog.plan import Histories, History, leads, whole
from wbagent.binlog.scan import Done
from wbagent.errors import RestoreError
from wbagent.restore.until import Until, microseconds_of, show


@dataclass(frozen=True, slots=True)
class Candidate:
    """A backup that could be the beginning: its id, and its position, or None where that was not noted.

    `at`: when it was finished, microseconds since the epoch, for people. `bad`: its drill found it does not restore.
    `begun_at`: seconds since the epoch.
    """

    id: str
    position: GtidSet | None
    at: int = 0
    bad: bool = False
    begun_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Known:
    """What a host noted: it had stored all that was executed at `until` (microseconds), and `stored` in the end."""

    until: int = 0
    stored: GtidSet = field(default_factory=GtidSet)

    @classmethod
    def of(cls, report: Report) -> Self:
        """By what the unit that stores them noted last."""
        return cls(microseconds_of(report.covered_at), GtidSet.parse(report.stored))

    def lost(self, files: Iterable[StoredFile]) -> GtidSet:
        """What it had stored and no stored file knows of any more: pieces at the end were removed behind its back."""
        return self.stored - GtidSet.of(part for file in files for part in file.mark.executed.parts())

    def until_by(self, files: Iterable[StoredFile]) -> int:
        """Up to when everything is still known to be stored; 0 when something of it is gone."""
        return 0 if self.lost(files) else self.until


NOTHING_KNOWN: Final = Known()


@dataclass(frozen=True, slots=True)
class Window:
    """Every moment from `start` to `end` (microseconds) can be restored; `backup` is the oldest to begin from.

    `missing`: what was executed since the window before this one began and is in no stored binary log.
    """

    start: int
    end: int
    backup: str
    missing: GtidSet = field(default_factory=GtidSet)


@dataclass(frozen=True, slots=True)
class Step:
    """Apply these transactions of this file."""

    file: StoredFile
    gtids: GtidSet


def spanning(files: Iterable[StoredFile], until: Until) -> tuple[StoredFile, ...]:
    """The files that hold commits of before a moment and of after it: one, or one of each server after a failover."""
    return tuple(file for file in files if file.mark.first_at and file.mark.first_at <= until.at < file.mark.last_at)


def last_file(
    files: Sequence[StoredFile], until: Until, known_until: int, newest: Mapping[FileId, int] | None = None
) -> StoredFile:
    """The file in which the point lies; raises RestoreError when it is beyond what is stored.

    `known_until`: the moment (microseconds) up to which everything is known to be stored, also where nothing was
    written; 0 when only what is stored can tell. `newest`: of each file that spans the moment, its last commit that is
    not later.
    """
    before = newest or {}
    written = [file for file in files if file.mark.first_at]
    if not written:
        raise RestoreError(
            "no binary logs are stored, so only a backup as a whole can be restored",
            hint="wbagent restore latest --into …; for later: [backup.binlog] enabled = true",
        )
    if until.before is not None:
        holding = [file for file in files if until.before in file.gtids]
        if not holding:
            raise RestoreError(
                f"the transaction {until.before} is in no stored binary log",
                hint="see what there is: wbagent binlog status",
            )
        return holding[-1]
    end = max([known_until, *(file.mark.last_at for file in written)])
    if until.at > end:
        raise RestoreError(
            f"{until} is later than what is stored, which ends at {show(end)}",
            hint=f'the latest possible: --at "{show(end)}"',
        )
    begun = [file for file in written if file.mark.first_at <= until.at]
    if not begun:
        first = min(file.mark.first_at for file in written)
        raise RestoreError(
            f"{until} is earlier than the first stored transaction, of {show(first)}",
            hint="restore the backup of before that as a whole: wbagent backup list",
        )
    # After a failover the files of two servers hold the same time. The one that committed last until then was primary;
    # where both have that commit, it makes no difference.
    return max(begun, key=lambda file: (before.get(file.id, file.mark.last_at), -file.mark.last_at))


def refuse_hole(last: StoredFile, files: Sequence[StoredFile], until: Until) -> None:
    """Raise RestoreError when transactions are missing that may have been executed before the point.

    Behind the last commit of a file that is stored, only the server's next file tells whether there were more.
    """
    following = [file for file in files if file.id.uuid == last.id.uuid and file.id > last.id]
    if until.before is not None or until.at <= last.mark.last_at or not following:
        return
    after = min(following, key=lambda file: file.id)
    if missing := after.mark.previous - last.mark.executed - whole(file.mark for file in files):
        raise RestoreError(
            f"{until} lies in a gap: {len(missing)} transactions after {show(last.mark.last_at)} are not stored"
            f" ({str(missing)[:200]})",
            hint=f'the latest before it: --at "{show(last.mark.last_at)}"',
        )


def gone_by(done: Iterable[Done], until: Until) -> tuple[Done, ...]:
    """The transactions that were committed until a moment."""
    return tuple(each for each in done if each.committed_at <= until.at)


def passed(done: Iterable[Done], until: Until) -> bool:
    """Whether these transactions, read from the beginning of a file, lead to the point."""
    return any(each.gtid == until.before if until.before else each.committed_at >= until.at for each in done)


def executed_at(last: StoredFile, done: Sequence[Done], until: Until) -> GtidSet:
    """Everything that the server had executed at the point; `done` are the transactions of that file in order."""
    if until.before is not None:
        count = next(number for number, each in enumerate(done) if each.gtid == until.before)
    else:
        # A clock that was set back in between does not cut history in the middle: the last one counts.
        count = max((number for number, each in enumerate(done, 1) if each.committed_at <= until.at), default=0)
    return last.mark.previous | gtids_of(done[:count])


def choose_backup(
    backups: Sequence[Candidate], files: Iterable[StoredFile], wanted: GtidSet, until: Until, since: float = 0.0
) -> Candidate:
    """The newest backup (they are given oldest first) from which the stored logs lead to the point without a hole.

    Never one that is known to be bad. `since`: what was begun before (seconds since the epoch) is of another history.
    Raises RestoreError when there is no other.
    """
    if backups and all(backup.begun_at < since for backup in backups):
        raise RestoreError(
            f"the server began to number its transactions anew by {show(round(since * 1e6))}, and no backup was begun"
            f" between that and {until}",
            hint="choose a moment before that, or after the backup that followed it: wbagent binlog status",
        )
    backups = [backup for backup in backups if backup.begun_at >= since]
    stored = whole(file.mark for file in files)
    holes: list[str] = []
    bad = ""
    for backup in reversed(backups):
        if backup.position is None or not backup.position <= wanted:
            continue
        if not (missing := wanted - backup.position - stored):
            if not backup.bad:
                return backup
            bad = bad or backup.id
            continue
        holes.append(f"after backup {backup.id} {len(missing)} transactions are missing ({str(missing)[:200]})")
    if bad:
        raise RestoreError(
            f"the only backups that lead to {until} do not restore, as their drills found: the newest is {bad}",
            hint=f"why: wbagent backup show {bad}; to try it all the same: wbagent restore {bad} --at …",
        )
    if holes:
        raise RestoreError(
            f"the stored binary logs do not lead to {until} without a gap: {holes[0]}",
            hint="choose a moment before the gap, or after the backup that followed it: wbagent binlog status",
        )
    if backups and all(backup.position is None for backup in backups):
        raise RestoreError(
            "no backup has an exact position in the binary log to begin from",
            hint="a clone's is known once it is proven: wbagent backup drill; of a dump, the warnings of"
            " `wbagent backup show latest` say what the account lacks",
        )
    point = f"the transaction {until.before}" if until.before else str(until)
    raise RestoreError(f"there is no backup of before {point}", hint="see what there is: wbagent backup list")


def of_history(last: FileId, files: Sequence[StoredFile]) -> tuple[History, tuple[StoredFile, ...]]:
    """The history that a file is of, and those of the files that are of it."""
    history = Histories({file.id: file.mark for file in files}).of(last)
    return history, tuple(file for file in files if file.id in history.files)


def windows(backups: Sequence[Candidate], files: Sequence[StoredFile], known_until: int = 0) -> tuple[Window, ...]:
    """The spans of time within which every moment can be restored, oldest first.

    `known_until`: the moment (microseconds) up to which everything is known to be stored, 0 when only what is stored
    can tell.
    """
    stored = whole(file.mark for file in files)
    histories = Histories({file.id: file.mark for file in files})
    ends = [(file.mark, histories.of(file.id)) for file in files]
    within = {
        history: whole(each.mark for each in files if each.id in history.files)
        for history in {history for _, history in ends}
    }
    newest = max((file.mark.last_at for file in files), default=0)
    found: list[Window] = []
    before: GtidSet | None = None
    for backup in backups:
        position = backup.position
        if position is None or backup.bad:
            continue
        end = max(
            (
                mark.last_at
                for mark, history in ends
                if backup.begun_at >= history.since and leads(position, mark.executed, within[history])
            ),
            default=0,
        )
        if end == newest:
            end = max(end, known_until)
        if end > backup.at and (not found or found[-1].end != end):
            missing = position - before - stored if before is not None else GtidSet()
            found.append(Window(backup.at, end, backup.id, missing))
            before = position
    return tuple(found)


def steps(files: Sequence[StoredFile], start: GtidSet, wanted: GtidSet) -> tuple[Step, ...]:
    """What to apply, in an order in which nothing comes before what it was executed after; raises RestoreError."""
    done, left = start & wanted, wanted - start
    waiting = list(files)
    result: list[Step] = []
    while left:
        ready = (file for file in waiting if file.gtids & left and file.mark.previous & wanted <= done)
        file = next(ready, None)
        if file is None:
            raise RestoreError(
                f"the stored binary logs cannot be put in order: {len(left)} transactions are left ({str(left)[:200]})",
                hint="this is a fault of wbagent; please report it with the output of: wbagent binlog status --json",
            )
        waiting.remove(file)
        taken = file.gtids & left
        result.append(Step(file, taken))
        done, left = done | taken, left - taken
    return tuple(result)


def gtids_of(done: Iterable[Done]) -> GtidSet:
    """The transactions as a set."""
    return GtidSet.of((each.gtid.source, (each.gtid.number, each.gtid.number + 1)) for each in done)
