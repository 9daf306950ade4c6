"""Small pieces become large ones: what was stored over some minutes is stored once more in one piece.

With a piece every five seconds little is lost, but a restore would wait for 17,280 a day. A joined piece begins where
the first of them does, and from one start the longest piece counts (catalog.chain). So it takes their place the moment
that its record is there, nothing has to be removed for that, and keys that may only write are enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from wbagent.binlog.layout import FileId, Range
from wbagent.binlog.scan import Mark

# Five minutes of pieces; all of it is in memory meanwhile.
MOST_PIECES: Final = 60
MOST_BYTES: Final = 8 << 20
# Pieces of more than half a megabyte take longer to read than to ask for, and would be a lot to send twice.
_FEWEST_WORTH_IT: Final = 16


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of a file from `start` on that are whole events; `mark` is the state of the file at their end.

    `joined`: all of it is stored already, in several pieces.
    """

    file: FileId
    start: int
    plain: bytes
    mark: Mark
    joined: bool = False


class Group:
    """The pieces that were stored since the last one was joined."""

    def __init__(self) -> None:
        self._pieces: list[Piece] = []

    def add(self, piece: Piece) -> Piece | None:
        """Take a piece that is stored now; what is to be stored in the place of several, if it is time for that."""
        if piece.joined:
            return None
        if self._pieces and (piece.file, piece.start) != (self._pieces[-1].file, self._pieces[-1].mark.end):
            self._pieces = []
        self._pieces.append(piece)
        large = sum(len(each.plain) for each in self._pieces) >= MOST_BYTES
        if large and len(self._pieces) < _FEWEST_WORTH_IT:
            self._pieces = []
        return self.end() if large or len(self._pieces) >= MOST_PIECES else None

    def end(self) -> Piece | None:
        """The same, when nothing more comes of this file."""
        pieces, self._pieces = self._pieces, []
        if len(pieces) < 2:
            return None
        first, last = pieces[0], pieces[-1]
        return Piece(first.file, first.start, b"".join(each.plain for each in pieces), last.mark, joined=True)


def superseded(chosen: Iterable[Range], stored: Iterable[Range]) -> Mapping[Range, tuple[Range, ...]]:
    """Of all stored pieces of a file those that a chosen one holds, by that one.

    Invariant: with any of them gone, the same pieces are chosen as before.
    """
    pieces = set(stored)
    found: dict[Range, tuple[Range, ...]] = {}
    for each in chosen:
        within = tuple(sorted(p for p in pieces if p != each and each.start <= p.start and p.end <= each.end))
        if within:
            found[each] = within
    return found
