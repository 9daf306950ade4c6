"""Binary logs go when no kept backup needs them, and never the newest."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from wbagent.binlog.catalog import StoredFile, read_catalog
from wbagent.binlog.gtid import Gtid, GtidSet, Source
from wbagent.binlog.layout import FileId, Range
from wbagent.binlog.record import PieceRecord, Stored
from wbagent.binlog.retention import expired_binlogs, sweep, thin_out_binlogs
from wbagent.binlog.scan import Mark, Open
from wbagent.bucket.directory import DirectoryStore

A = "3e11fa47-71ca-11e1-9e33-c80aa9429562"


def upto(number: int) -> GtidSet:
    return GtidSet.parse(f"{A}:1-{number}") if number else GtidSet()


def file(number: int, previous: int, executed: int, begun: int = 0) -> StoredFile:
    name = FileId.of(A, f"binlog.{number:06d}", 1000 + number)
    half = Open(Gtid(Source(A), begun), 900, 0) if begun else None
    mark = Mark(end=500, created=1000 + number, previous=upto(previous), executed=upto(executed), open=half)
    return StoredFile(name, (Range(0, 500),), mark, {Range(0, 500): 1})


def test_those_that_the_oldest_kept_backup_holds() -> None:
    files = [file(1, 0, 10), file(2, 10, 20), file(3, 20, 30), file(4, 30, 40)]
    assert [each.id.number for each in expired_binlogs(files, [upto(25), upto(38)])] == [1, 2]
    assert expired_binlogs(files, [None, None]) == ()
    assert expired_binlogs(files, []) == ()
    assert [each.id.number for each in expired_binlogs(files, [upto(99)])] == [1, 2, 3], "never the newest"


def test_a_transaction_that_goes_on_in_a_file_keeps_it() -> None:
    assert expired_binlogs([file(1, 0, 10, begun=11), file(2, 11, 12)], [upto(10)]) == ()
    assert len(expired_binlogs([file(1, 0, 10, begun=11), file(2, 11, 12)], [upto(11)])) == 1


@given(st.lists(st.integers(0, 10), min_size=1, max_size=6), st.lists(st.integers(0, 60), max_size=3))
def test_what_a_kept_backup_needs_stays(sizes: list[int], kept: list[int]) -> None:
    files, at = [], 0
    for number, size in enumerate(sizes, 1):
        files.append(file(number, at, at + size))
        at += size
    gone = expired_binlogs(files, [upto(position) for position in kept])
    left = GtidSet()
    for each in files:
        left |= each.gtids if each not in gone else GtidSet()
    for position in kept:
        assert upto(at) - upto(position) <= left
    assert files[-1] not in gone


def test_an_owner_removes_its_own_only(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    for owner in ("node1", "node10"):
        for each in (file(1, 0, 10), file(2, 10, 20)):
            stem = Range(0, 500).stem(each.id, owner)
            store.put(f"{stem}.zst", b"x")
            store.put(f"{each.id.prefix(owner)}000000000500-000000000700.zst", b"an orphan")
            record = PieceRecord.made(each.id, "9.7.4", 0, each.mark, Stored(".zst", 1, "0" * 64, "1" * 64))
            store.put(f"{stem}.json", record.to_bytes())
    done = thin_out_binlogs(store, "node1", [upto(15)])
    assert [each.id.number for each in done.removed] == [1]
    assert [each.id.number for each in read_catalog(store, "node1")] == [2]
    assert [each.id.number for each in read_catalog(store, "node10")] == [1, 2]
    assert not any("binlog.000001" in entry.key for entry in store.entries("node1/"))


def put(store: DirectoryStore, each: StoredFile, piece: Range, mark: Mark, record: bytes = b"") -> None:
    stem = piece.stem(each.id, "host1")
    store.put(f"{stem}.zst", b"x")
    made = PieceRecord.made(each.id, "9.7.4", piece.start, mark, Stored(".zst", 1, "0" * 64, "1" * 64))
    store.put(f"{stem}.json", record or made.to_bytes())


def test_a_record_that_is_damaged_costs_no_more_than_its_piece(tmp_path: Path) -> None:
    """Shipping, retention and every restore to a moment read them."""
    store, one, two = DirectoryStore(tmp_path), file(1, 0, 10), file(2, 10, 20)
    half = Mark(end=200, created=1001, executed=upto(4))
    for piece, mark, record in (
        (Range(0, 100), Mark(end=100, created=1001, executed=upto(2)), b""),
        (Range(100, 200), half, b""),
        (Range(0, 200), half, b"{joined"),
        (Range(200, 500), one.mark, b"{"),
    ):
        put(store, one, piece, mark, record)
    put(store, two, Range(0, 500), two.mark)
    found = read_catalog(store, "host1")
    assert [(each.id, each.pieces[-1].end, each.mark.executed) for each in found] == [
        (one.id, 200, upto(4)),
        (two.id, 500, upto(20)),
    ]
    assert expired_binlogs(found, [upto(5)]) == (), "there is more in it than the record tells that is left"
    assert expired_binlogs(found, [upto(10)]) == found[:1]
    assert sweep(store, "host1", 1e6) == 0
    store.put(Range(0, 500).stem(two.id, "host1") + ".json", b"{")
    assert [each.id for each in read_catalog(store, "host1")] == [one.id]
