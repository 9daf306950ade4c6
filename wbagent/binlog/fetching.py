"""Reads stored binary logs back, piece by piece, each held against its record."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from wbagent.age import Identity
from wbagent.binlog.catalog import StoredFile, chain, committed, stored_pieces
from wbagent.binlog.events import Event, EventStream, MisreadError
from wbagent.binlog.layout import RECORD, FileId, Range
from wbagent.binlog.packing import unpack
from wbagent.binlog.record import PieceRecord, parse_record
from wbagent.bucket.store import NotStoredError, Store

_HINT: Final = "begin with a later backup, for a moment after it: wbagent backup list"
# Small pieces are thousands, and waiting for one answer after the other would take hours.
_AHEAD: Final = 16
# Large ones are in memory meanwhile.
_MOST_BYTES: Final = 64 << 20


def fetch(store: Store, owner: str, identity: Identity | None, file: StoredFile, upto: int) -> Iterator[bytes]:
    """The bytes of a file in order, the last of them at or behind `upto`; raises BucketError, MisreadError."""

    def one(piece: Range) -> bytes:
        try:
            return _piece(store, piece.stem(file.id, owner), identity, piece)
        except MisreadError:
            others = _others(store, owner, file.id, piece)
            if not others:
                raise
            return b"".join(_piece(store, each.stem(file.id, owner), identity, each) for each in others)

    wanted = deque(piece for piece in file.pieces if piece.start < upto)
    with ThreadPoolExecutor(_AHEAD, thread_name_prefix="binlog") as pool:
        coming: deque[Future[bytes]] = deque()
        ahead = 0
        try:
            while wanted or coming:
                while wanted and len(coming) < _AHEAD and (not coming or ahead + _bytes(wanted[0]) <= _MOST_BYTES):
                    ahead += _bytes(wanted[0])
                    coming.append(pool.submit(one, wanted.popleft()))
                data = coming.popleft().result()
                ahead -= len(data)
                yield data
        finally:
            for left in coming:
                left.cancel()


def read_events(store: Store, owner: str, identity: Identity | None, file: StoredFile, upto: int) -> Iterator[Event]:
    """The events of a file up to the end of the piece that holds `upto`; raises BucketError, MisreadError."""
    stream = EventStream()
    for data in fetch(store, owner, identity, file, upto):
        yield from stream.feed(data)


def _bytes(piece: Range) -> int:
    return piece.end - piece.start


def _others(store: Store, owner: str, file: FileId, piece: Range) -> tuple[Range, ...]:
    """The smaller pieces that hold the same: those that it was joined of, or what was stored again when it was bad."""
    pieces = committed(stored_pieces(store, owner).get(file, {}))
    found = chain((each for each in pieces if each != piece and each.end <= piece.end), piece.start)
    return found if found and found[-1].end == piece.end else ()


def _piece(store: Store, stem: str, identity: Identity | None, piece: Range) -> bytes:
    try:
        record = _record(store, stem + RECORD)
        key = stem + record.suffix
        stored = b"".join(store.get(key))
    except NotStoredError as error:
        raise MisreadError(f"a piece of a binary log is gone: {error.message}", hint=_HINT) from None
    if hashlib.sha256(stored).hexdigest() != record.sha256:
        raise MisreadError(f"{key} is not what was stored: its SHA-256 differs from its record's", hint=_HINT)
    plain = unpack(stored, record.suffix, piece.end - piece.start, identity)
    if hashlib.sha256(plain).hexdigest() != record.plain_sha256:
        raise MisreadError(f"{key} decompresses to something else than was shipped", hint=_HINT)
    return plain


def _record(store: Store, key: str) -> PieceRecord:
    try:
        return parse_record(b"".join(store.get(key)), key)
    except MisreadError as error:
        error.hint = _HINT
        raise
