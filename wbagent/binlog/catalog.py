"""What is stored of an owner's binary logs, read from the names in the store and one record a file.

Without a record that can be read a piece does not exist: what else is there must not be lost for it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from wbagent.binlog.events import MisreadError
from wbagent.binlog.gtid import GtidSet
from wbagent.binlog.layout import DATA, RECORD, FileId, Range, binlogs_prefix, parse_key
from wbagent.binlog.record import parse_record
from wbagent.binlog.scan import Mark
from wbagent.bucket.store import Store
from wbagent.systemd import journal


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One binary log file as far as it is stored without a hole from its beginning on.

    `mark` is what its last piece's record says; `sizes`: bytes stored, of each piece.
    """

    id: FileId
    pieces: tuple[Range, ...]
    mark: Mark
    sizes: Mapping[Range, int]

    @property
    def gtids(self) -> GtidSet:
        """The transactions that are complete in it."""
        return self.mark.gtids


@dataclass(frozen=True, slots=True)
class Catalog:
    """Every file of which anything is stored, oldest first; `unreadable`: keys of records of what lies behind them.

    `newest_unreadable`: one is of the newest file, so the unit stores it again when it begins anew and MySQL has it.
    """

    files: tuple[StoredFile, ...]
    unreadable: tuple[str, ...] = ()
    newest_unreadable: bool = False


def read_catalog(store: Store, owner: str) -> tuple[StoredFile, ...]:
    """The files of `read_whole`, for who goes on without the rest: it is told in the journal. Raises BucketError."""
    stored = read_whole(store, owner)
    for key in stored.unreadable:
        journal.send(f"the record {key} cannot be read: what it is of counts as not stored", level="warning")
    return stored.files


def read_whole(store: Store, owner: str) -> Catalog:
    """What is stored for an owner, and what of it cannot be read; raises BucketError."""
    files: list[StoredFile] = []
    unreadable: list[str] = []
    behind: list[str] = []
    for file, pieces in sorted(stored_pieces(store, owner).items()):
        sizes = dict(committed(pieces))
        damaged: list[Range] = []
        end = 0
        while chosen := chain(sizes):
            key = chosen[-1].stem(file, owner) + RECORD
            try:
                mark = parse_record(b"".join(store.get(key)), key).mark()
            except MisreadError:
                # Smaller pieces, or what was stored again since, may lead past it.
                damaged.append(chosen[-1])
                del sizes[chosen[-1]]
                continue
            files.append(StoredFile(file, chosen, mark, {piece: sizes[piece] for piece in chosen}))
            end = mark.end
            break
        behind = [piece.stem(file, owner) + RECORD for piece in damaged if piece.end > end]
        unreadable += behind
    return Catalog(tuple(files), tuple(unreadable), bool(behind))


def stored_pieces(store: Store, owner: str) -> Mapping[FileId, Mapping[Range, Mapping[str, int]]]:
    """All there is by file and piece: the bytes of each suffix; raises BucketError."""
    found: defaultdict[FileId, defaultdict[Range, dict[str, int]]] = defaultdict(lambda: defaultdict(dict))
    for entry in store.entries(binlogs_prefix(owner)):
        if (known := parse_key(entry.key, owner)) is not None:
            file, piece, suffix = known
            found[file][piece][suffix] = entry.size
    return found


def committed(pieces: Mapping[Range, Mapping[str, int]]) -> Mapping[Range, int]:
    """Those pieces of a file that are stored with their record, and the bytes that each takes."""
    return {
        piece: max(size for suffix, size in parts.items() if suffix.startswith(DATA))
        for piece, parts in pieces.items()
        if RECORD in parts and any(suffix.startswith(DATA) for suffix in parts)
    }


def chain(pieces: Iterable[Range], at: int = 0) -> tuple[Range, ...]:
    """The pieces that make up a file from byte `at` on without a hole.

    From one start the longest one counts: pieces are joined to larger ones (joining), and a writer that died after it
    stored a piece, and before it knew, cuts the next one from the same offset.
    """
    longest: dict[int, Range] = {}
    for piece in pieces:
        if piece.start not in longest or piece.end > longest[piece.start].end:
            longest[piece.start] = piece
    chosen: list[Range] = []
    while at in longest and longest[at].end > at:
        chosen.append(longest[at])
        at = longest[at].end
    return tuple(chosen)
