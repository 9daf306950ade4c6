"""Which stored binary logs have had their time: they follow the oldest backup that is kept."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from wbagent.binlog.catalog import StoredFile, chain, committed, read_catalog, stored_pieces
from wbagent.binlog.events import MisreadError
from wbagent.binlog.gtid import GtidSet
from wbagent.binlog.joining import superseded
from wbagent.binlog.layout import RECORD
from wbagent.binlog.record import parse_record
from wbagent.bucket.store import NotAllowedError, Store

_READ_MEANWHILE_S: Final = 86400.0
_AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True)
class ThinnedBinlogs:
    """What was removed, and what was due but may not be removed with this key, with the store's words."""

    removed: tuple[StoredFile, ...]
    due: tuple[StoredFile, ...] = ()
    refusal: str = ""


def expired_binlogs(files: Sequence[StoredFile], kept: Iterable[GtidSet | None]) -> tuple[StoredFile, ...]:
    """The files that no backup that is kept needs, oldest first; `kept`: the positions of those, None where not noted.

    Invariant: a file stays while it holds a transaction, whole or begun, that any kept backup with a position lacks; so
    does the newest file, from which storing goes on. Without a backup that has a position everything stays. Files go
    one by one, so any prefix of the answer may be carried out.
    """
    positions = [position for position in kept if position is not None]
    if not positions or not files:
        return ()
    newest = {max(files, key=lambda file: (len(file.mark.executed), file.id)).id, max(file.id for file in files)}
    ordered = sorted(files, key=lambda file: file.id)
    due = []
    for number, file in enumerate(ordered):
        # What is known of it may end before it does: the next one of its server says what was in it.
        behind = next((each.mark.previous for each in ordered[number + 1 :] if each.id.uuid == file.id.uuid), GtidSet())
        held = GtidSet() if file.mark.closed else behind
        if file.id not in newest and all(held <= position and _is_in(file, position) for position in positions):
            due.append(file)
    return tuple(due)


def thin_out_binlogs(store: Store, owner: str, kept: Iterable[GtidSet | None]) -> ThinnedBinlogs:
    """Remove what is expired of `owner`'s binary logs; raises BucketError.

    With a key that may not delete, nothing fails: it is said what would have gone.
    """
    due = expired_binlogs(read_catalog(store, owner), kept)
    for count, file in enumerate(due):
        try:
            _remove(store, owner, file)
        except NotAllowedError as error:
            return ThinnedBinlogs(due[:count], due[count:], error.message)
    return ThinnedBinlogs(due)


def sweep(store: Store, owner: str, now: float) -> int:
    """Remove the pieces in whose place larger ones were stored, and say how many; raises BucketError.

    Only once the larger one was read back, and a day after what it holds: a restore that began before it was there may
    still be reading them. `now`: wall-clock seconds. With a key that may not delete, nothing goes and nothing fails.
    """
    gone = 0
    for file, pieces in sorted(stored_pieces(store, owner).items()):
        for larger, within in superseded(chain(committed(pieces)), pieces).items():
            stem = larger.stem(file, owner)
            try:
                record = parse_record(b"".join(store.get(stem + RECORD)), stem + RECORD)
            except MisreadError:
                continue
            if now - max(record.last_at / 1e6, record.created) < _READ_MEANWHILE_S:
                continue
            stored = hashlib.sha256()
            for chunk in store.get(stem + record.suffix):
                stored.update(chunk)
            if stored.hexdigest() != record.sha256:
                continue
            keys = [piece.stem(file, owner) + suffix for piece in within for suffix in pieces[piece]]
            # Records first: a piece without its data would not be passed over.
            for last in (False, True):
                with ThreadPoolExecutor(_AT_ONCE) as pool:
                    list(pool.map(store.delete, [key for key in keys if key.endswith(RECORD) is not last]))
            gone += len(within)
    return gone


def _is_in(file: StoredFile, position: GtidSet) -> bool:
    begun = file.mark.open
    return file.gtids <= position and (begun is None or begun.gtid in position)


def _remove(store: Store, owner: str, file: StoredFile) -> None:
    # Records first and the last one before the others: interrupted, what is left is the beginning of a file.
    keys = [entry.key for entry in store.entries(file.id.prefix(owner))]
    records = [key for key in keys if key.endswith(RECORD)]
    for key in [*sorted(records, reverse=True), *(key for key in keys if not key.endswith(RECORD))]:
        store.delete(key)
