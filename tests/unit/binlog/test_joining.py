"""Joined pieces change nothing of what is read, whatever of the small ones is there or gone."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wbagent.binlog import joining
from wbagent.binlog.catalog import chain, read_catalog
from wbagent.binlog.gtid import GtidSet
from wbagent.binlog.joining import MOST_PIECES, Group, Piece, superseded
from wbagent.binlog.layout import FileId, Range
from wbagent.binlog.record import PieceRecord, Stored
from wbagent.binlog.retention import sweep
from wbagent.binlog.scan import Mark
from wbagent.bucket.directory import DirectoryStore

A = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
FILE = FileId.of(A, "binlog.000001", 1000)


def piece(start: int, end: int, file: FileId = FILE) -> Piece:
    mark = Mark(end=end, created=1000, executed=GtidSet.parse(f"{A}:1-{end}"), first_at=1, last_at=end)
    return Piece(file, start, bytes(range(start % 200, start % 200 + 1)) * (end - start), mark)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=300), st.sets(st.integers(0, 300)), st.randoms())
def test_what_is_read_stays_the_same(sizes: list[int], restarts: set[int], random: object) -> None:
    """Pieces are cut, and a program that is started again has forgotten which ones it was about to join."""
    stored: list[Piece] = []
    group, at = Group(), 0
    for number, size in enumerate(sizes):
        if number in restarts:
            group = Group()
        small = piece(at, at + size)
        at += size
        stored.append(small)
        if joined := group.add(small):
            assert joined.plain == b"".join(
                each.plain for each in stored if joined.start <= each.start and not each.joined
            )
            stored.append(joined)
            assert group.add(joined) is None
    ranges = {Range(each.start, each.mark.end) for each in stored}
    chosen = chain(ranges)
    assert chosen[-1].end == at
    if not restarts:
        assert len(chosen) <= len(sizes) / MOST_PIECES + MOST_PIECES
    gone = [each for within in superseded(chosen, ranges).values() for each in within]
    for each in gone:
        if random.random() < 0.5:  # type: ignore[attr-defined] # hypothesis' own
            ranges.discard(each)
            assert chain(ranges) == chosen


def test_large_pieces_are_not_sent_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joining, "MOST_BYTES", 1000)
    group = Group()
    assert all(group.add(piece(start, start + 100)) is None for start in range(0, 5000, 100))
    small = Group()
    assert [bool(small.add(piece(start, start + 60))) for start in range(0, 1020, 60)] == [False] * 16 + [True]


def test_pieces_of_two_files_are_not_joined() -> None:
    group = Group()
    group.add(piece(0, 10))
    group.add(piece(0, 20, FileId.of(A, "binlog.000002", 1001)))
    joined = group.end()
    assert joined is None


def put(store: DirectoryStore, each: Piece, *, damaged: bool = False) -> None:
    stem = Range(each.start, each.mark.end).stem(each.file, "host1")
    digest = hashlib.sha256(each.plain).hexdigest()
    store.put(f"{stem}.zst", each.plain[1:] if damaged else each.plain)
    record = PieceRecord.made(
        each.file, "9.7.4", each.start, each.mark, Stored(".zst", len(each.plain), digest, digest)
    )
    store.put(f"{stem}.json", record.to_bytes())


@pytest.mark.parametrize("damaged", [False, True])
def test_small_ones_go_once_the_large_one_was_read_back_and_a_day_has_passed(tmp_path: Path, *, damaged: bool) -> None:
    store = DirectoryStore(tmp_path)
    for each in (piece(0, 10), piece(10, 20), piece(20, 30)):
        put(store, each)
    put(store, piece(0, 20), damaged=damaged)
    assert sweep(store, "host1", 1000 + 86_000.0) == 0
    assert sweep(store, "host1", 1000 + 87_000.0) == (0 if damaged else 2)
    (file,) = read_catalog(store, "host1")
    assert file.pieces == (Range(0, 20), Range(20, 30))
    assert len(list(store.entries("host1/"))) == (8 if damaged else 4)
