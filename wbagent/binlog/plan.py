"""Where reading goes on: a pure decision from what is stored, what the server offers and what the newest backup holds.

The set of executed transactions decides, never a file's name or an offset alone: after a failover the same transactions
lie in other files.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise
from typing import Final

from wbagent.binlog.gtid import GtidSet
from wbagent.binlog.layout import FileId, file_number
from wbagent.binlog.scan import Mark

# The first event of a file, behind its four bytes of magic.
FIRST: Final = 4
# The protocol that mysqlbinlog speaks has 32 bits for it.
_LARGEST_POSITION: Final = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Offered:
    """A binary log file that the server still has; `previous`: what was executed before it, `unlogged` included."""

    name: str
    size: int
    previous: GtidSet


@dataclass(frozen=True, slots=True)
class Offer:
    """A server's identity, everything that it executed, and its files, oldest first; `unlogged`: see there."""

    uuid: str
    version: str
    executed: GtidSet
    files: tuple[Offered, ...]
    unlogged: GtidSet = field(default_factory=GtidSet)


@dataclass(frozen=True, slots=True)
class Plan:
    """Read `file` from `position` on; all of `have` is stored. `gap`: what can never be stored any more, or ""."""

    file: str
    position: int
    have: GtidSet
    gap: str = ""


def unlogged(purged: GtidSet, oldest: GtidSet) -> GtidSet:
    """What a server executed that its binary logs name nowhere; `oldest`: the Previous_gtids of its oldest file.

    Such are the transactions of the server that a restored clone was made of, those of deleted binary logs, and what
    SET gtid_purged named: MySQL keeps them in mysql.gtid_executed alone and leaves them out of every Previous_gtids, so
    they count as executed before each of the files. What PURGE BINARY LOGS removed is in gtid_purged too, but the
    oldest file names it, and files that were stored before that did not come after it.

    Invariant: a transaction that is not stored is never taken for one that is. A file only claims to come after it, and
    what is stored must then lead there.
    """
    return purged - oldest


def decide(stored: Mapping[FileId, Mark], offer: Offer, backup: GtidSet | None, another: FileId | None = None) -> Plan:
    """Decide from what is stored, what is offered, and the position of the newest backup, if any.

    `another`: a stored file of whose name the server was found to have another one.

    Invariant: when no gap is told, every transaction that the server executed since the last stored one will be read,
    perhaps once more than needed, never once too few. When one is told, or nothing is stored yet, reading begins where
    the newest backup can still be rolled forward from, if the server has that, else as late as possible.
    """
    own = [file for file in stored if file.uuid == offer.uuid]
    if not stored:
        return _afresh(offer, backup, "")
    last = max(own) if own else _by_history(stored)[-1]
    mark = stored[last]
    have = mark.executed
    if why := _why_afresh(last, mark, offer, another):
        return _afresh(offer, backup, why)
    for file in offer.files:
        if own and file.name == last.name and file.previous == mark.previous:
            return Plan(file.name, mark.end if mark.end <= _LARGEST_POSITION else FIRST, have)
    if (found := _covering(offer, have)) is not None:
        return Plan(found.name, FIRST, have)
    return _afresh(offer, backup, f"{_count(offer.files[0].previous - have)} are no longer in the server's binary logs")


def _why_afresh(last: FileId, mark: Mark, offer: Offer, another: FileId | None) -> str:
    """Why what is stored cannot be gone on from, or ""."""
    if ahead := mark.executed - offer.executed:
        return f"{_count(ahead)} are stored that are not on this server"
    if last.uuid != offer.uuid:
        return ""
    if last == another or _counts_anew(offer, last, mark):
        return f"{last.name} is another file on the server: its history began anew"
    if any(file.name == last.name and file.previous == mark.previous and mark.end > file.size for file in offer.files):
        return f"{last.name} is shorter on the server than what is stored of it"
    return ""


def whole(marks: Iterable[Mark]) -> GtidSet:
    """Every transaction that is complete in one of these files."""
    return GtidSet.of(part for mark in marks for part in mark.gtids.parts())


def leads(start: GtidSet, end: GtidSet, stored: GtidSet) -> bool:
    """Whether a restore of a backup at `start` can be rolled forward to `end` with what is stored."""
    return start <= end and end - start <= stored


@dataclass(frozen=True, slots=True)
class History:
    """Stored files in which a GTID names one transaction; a backup that was begun before `since` is not of it.

    `since`: seconds since the epoch, 0 where no other history is known.
    """

    files: frozenset[FileId]
    since: int = 0


class Histories:
    """The histories of stored files; made once for all of them, since each is compared with the others of its server.

    RESET BINARY LOGS AND GTIDS, or a crash that costs the end of a log, lets a server give the same numbers to other
    transactions.
    """

    def __init__(self, marks: Mapping[FileId, Mark]) -> None:
        servers: defaultdict[str, list[FileId]] = defaultdict(list)
        for file in sorted(marks):
            servers[file.uuid].append(file)
        self._servers = [(own, frozenset(_breaks(own, marks))) for own in servers.values()]
        unbroken = not any(breaks for _, breaks in self._servers)
        self._only = History(frozenset(marks)) if unbroken else None

    def of(self, last: FileId) -> History:
        """The files that may be put together with `last`.

        Invariant: of any two files of one server in the answer one begins with all that the other ended with; of two
        that do not, the one that is farther from `last`, and what lies behind it, is left out.
        """
        return self._only or _cut(self._servers, last)


def _cut(servers: Iterable[tuple[Sequence[FileId], frozenset[tuple[FileId, FileId]]]], last: FileId) -> History:
    """The files of servers, each with its breaks, that are of one history with `last`."""
    kept, since = set[FileId](), 0
    for own, breaks in servers:
        before = max((one for one, other in breaks if one < last and (last, other) not in breaks), default=None)
        behind = min((other for one, other in breaks if other > last and (one, last) not in breaks), default=None)
        left = [file for file in own if (not before or file > before) and (not behind or file < behind)]
        if before and left:
            since = max(since, left[0].created)
        kept |= set(left)
    return History(frozenset(kept), since)


def _breaks(files: Sequence[FileId], marks: Mapping[FileId, Mark]) -> list[tuple[FileId, FileId]]:
    """The pairs of a server's files (oldest first) that are not of one history."""
    by_length = sorted(files, key=lambda file: (len(marks[file].executed), len(marks[file].previous)))
    if all(marks[one].executed <= marks[other].previous for one, other in pairwise(by_length)):
        return []
    return [
        (one, other)
        for one, other in combinations(files, 2)
        if not (marks[one].executed <= marks[other].previous or marks[other].executed <= marks[one].previous)
    ]


def _counts_anew(offer: Offer, last: FileId, mark: Mark) -> bool:
    """Whether the server's files cannot be those that the last stored one, which is of its name, belongs to."""
    numbers = {file.name: file_number(file.name) for file in offer.files}
    alike = [name for name in numbers if name.rpartition(".")[0] == last.name.rpartition(".")[0]]
    if last.name in alike:
        previous = next(file.previous for file in offer.files if file.name == last.name)
        return str(previous - offer.unlogged) != str(mark.previous - offer.unlogged)
    # Files that were deleted by hand are counted anew too, and what was in them counts as executed before the first.
    behind = mark.executed <= offer.files[0].previous
    return bool(alike) and not behind and max(numbers[name] for name in alike) < last.number


def _by_history(stored: Mapping[FileId, Mark]) -> list[FileId]:
    """The files of several servers, the one with the longest history last: a replica's may be older than it looks."""
    return sorted(stored, key=lambda file: (len(stored[file].executed), file))


def _afresh(offer: Offer, backup: GtidSet | None, gap: str) -> Plan:
    found = _covering(offer, backup) if backup is not None and backup <= offer.executed else None
    return Plan((found or offer.files[-1]).name, FIRST, GtidSet(), gap)


def _covering(offer: Offer, have: GtidSet) -> Offered | None:
    """The newest file before which nothing was executed that is not in `have`."""
    return next((file for file in reversed(offer.files) if file.previous <= have), None)


def _count(gtids: GtidSet) -> str:
    text = str(gtids)
    return f"{len(gtids)} transactions ({text if len(text) <= 200 else text[:200] + '…'})"
