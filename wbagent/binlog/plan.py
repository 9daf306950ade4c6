"""Where reading goes on: a pure decision from what is stored, what the server offers and what the newest backup holds.

The set of executed transactions decides, never a file's name or an offset alone: after a failover the same transactions
lie in other files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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
    """A binary log file that the server still has; `previous`: what was executed before it."""

    name: str
    size: int
    previous: GtidSet


@dataclass(frozen=True, slots=True)
class Offer:
    """A server's identity, everything that it executed, and its files, oldest first."""

    uuid: str
    version: str
    executed: GtidSet
    files: tuple[Offered, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Read `file` from `position` on; all of `have` is stored. `gap`: what can never be stored any more, or ""."""

    file: str
    position: int
    have: GtidSet
    gap: str = ""


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


def rolls_forward(stored: Mapping[FileId, Mark], backup: GtidSet) -> bool:
    """Whether a backup at this position can be rolled forward to the newest stored transaction."""
    files = _by_history(stored)[::-1]
    if not files:
        return False
    base = stored[files[0]].previous
    for file in files[1:]:
        if base <= backup:
            break
        if base <= stored[file].executed:
            base = stored[file].previous
    return base <= backup


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
