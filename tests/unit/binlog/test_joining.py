"""Joined pieces change nothing of what is read, whatever of the small ones is there or gone."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wbagent.binlog import joining
from wbagent.binlog.catalog import chain, read_catalog, read_whole
from wbagent.binlog.events import MisreadError
from wbagent.binlog.fetching import fetch
from wbagent.binlog.gtid import GtidSet
from wbagent.binlog.joining import MOST_PIECES, Group, Piece, superseded
from wbagent.binlog.layout import FileId, Range
from wbagent.binlog.packing import Packing
from wbagent.binlog.record import PieceRecord, Stored
from wbagent.binlog.retention import sweep, thin_out_binlogs
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
    packed = Packing().pack(each.plain)
    store.put(f"{stem}.zst", packed[1:] if damaged else packed)
    digests = [hashlib.sha256(data).hexdigest() for data in (packed, each.plain)]
    record = PieceRecord.made(each.file, "9.7.4", each.start, each.mark, Stored(".zst", len(packed), *digests))
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


def test_a_last_record_that_cannot_be_read_ends_its_file_before_it(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    for each in (piece(0, 10), piece(10, 20), piece(20, 40)):
        put(store, each)
    key = Range(20, 40).stem(FILE, "host1") + ".json"
    store.put(key, b"{}")
    found = read_whole(store, "host1")
    assert [file.pieces for file in found.files] == [(Range(0, 10), Range(10, 20))]
    assert (found.unreadable, found.newest_unreadable) == ((key,), True)
    # What is stored again is cut at other places, and what comes after it makes the damaged piece one in the middle.
    put(store, piece(20, 30))
    put(store, piece(30, 40))
    healed = read_whole(store, "host1")
    assert (healed.files[0].mark.end, healed.unreadable) == (40, ())
    put(store, piece(40, 50))
    (file,) = read_catalog(store, "host1")
    assert file.pieces[-2:] == (Range(20, 40), Range(40, 50))
    whole = b"".join(each.plain for each in (piece(0, 10), piece(10, 20), piece(20, 30), piece(30, 40), piece(40, 50)))
    assert b"".join(fetch(store, "host1", None, file, 50)) == whole
    store.delete(Range(30, 40).stem(FILE, "host1") + ".json")
    with pytest.raises(MisreadError, match=r"the record .*20-000000000040\.json cannot be read") as refused:
        list(fetch(store, "host1", None, file, 50))
    assert "begin with a later backup" in refused.value.hint


def test_a_file_of_which_nothing_can_be_read_hides_no_other_and_is_not_removed(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    later = FileId.of(A, "binlog.000002", 2000)
    put(store, piece(0, 10))
    put(store, piece(0, 20, later))
    key = Range(0, 10).stem(FILE, "host1") + ".json"
    store.put(key, b"{}")
    found = read_whole(store, "host1")
    assert [file.id for file in found.files] == [later]
    assert (found.unreadable, found.newest_unreadable) == ((key,), False)
    assert thin_out_binlogs(store, "host1", [GtidSet.parse(f"{A}:1-99")]).removed == ()
    assert sweep(store, "host1", 9e9) == 0
