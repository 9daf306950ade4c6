"""What is stored of an owner's binary logs, read from the names in the store and one record a file."""

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


def read_catalog(store: Store, owner: str) -> tuple[StoredFile, ...]:
    """Every file of which anything is stored, oldest first; raises BucketError.

    Without a record that can be read a piece does not exist: what else is there must not be lost for it.
    """
    files = []
    for file, pieces in sorted(stored_pieces(store, owner).items()):
        sizes = dict(committed(pieces))
        while chosen := chain(sizes):
            key = chosen[-1].stem(file, owner) + RECORD
            try:
                mark = parse_record(b"".join(store.get(key)), key).mark()
            except MisreadError as error:
                journal.send(f"{error.message}: what it is of counts as not stored", level="warning")
                del sizes[chosen[-1]]
                continue
            files.append(StoredFile(file, chosen, mark, {piece: sizes[piece] for piece in chosen}))
            break
    return tuple(files)


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


def chain(pieces: Iterable[Range]) -> tuple[Range, ...]:
    """The pieces that make up a file from byte 0 on without a hole.

    From one start the longest one counts: pieces are joined to larger ones (joining), and a writer that died after it
    stored a piece, and before it knew, cuts the next one from the same offset.
    """
    longest: dict[int, Range] = {}
    for piece in pieces:
        if piece.start not in longest or piece.end > longest[piece.start].end:
            longest[piece.start] = piece
    chosen: list[Range] = []
    at = 0
    while at in longest and longest[at].end > at:
        chosen.append(longest[at])
        at = longest[at].end
    return tuple(chosen)
