"""Where reading goes on: a pure decision from what is stored, what the server offers and what the newest backup holds.

The set of executed transactions decides, never a file's name or an offset alone: after a failover the same transactions
lie in other files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from wbagent.binlog.gtid import GtidSet
from wbagent.binlog.layout import FileId
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


def decide(stored: Mapping[FileId, Mark], offer: Offer, backup: GtidSet | None) -> Plan:
    """Decide from what is stored, what is offered, and the position of the newest backup, if any.

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
    if ahead := have - offer.executed:
        return _afresh(offer, backup, f"{_count(ahead)} are stored that are not on this server")
    for file in offer.files:
        if own and file.name == last.name and file.previous == mark.previous:
            if mark.end <= file.size:
                return Plan(file.name, mark.end if mark.end <= _LARGEST_POSITION else FIRST, have)
            return _afresh(offer, backup, f"{file.name} is shorter on the server than what is stored of it")
    if (found := _covering(offer, have)) is not None:
        return Plan(found.name, FIRST, have)
    return _afresh(offer, backup, f"{_count(offer.files[0].previous - have)} are no longer in the server's binary logs")


def whole(marks: Iterable[Mark]) -> GtidSet:
    """Every transaction that is complete in one of these files."""
    return GtidSet.of(part for mark in marks for part in mark.gtids.parts())


def leads(start: GtidSet, end: GtidSet, stored: GtidSet) -> bool:
    """Whether a restore of a backup at `start` can be rolled forward to `end` with what is stored."""
    return start <= end and end - start <= stored


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
