"""A transaction counts when its last byte is there, wherever a piece ends; records bring the state back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.binlog.log_bytes import LogFile
from wbagent.binlog.events import EventStream
from wbagent.binlog.gtid import Gtid, GtidSet, Source
from wbagent.binlog.layout import FileId, parse_key
from wbagent.binlog.record import PieceRecord, Stored, parse_record
from wbagent.binlog.scan import Done, Mark, advance

A = "40342206-e9a9-11f1-8fc5-02fc00000001"
PLAIN, TAGGED = Source(A), Source(A, "tag")
BEFORE = GtidSet.parse(f"{A}:1-10")

transactions = st.lists(
    st.tuples(st.sampled_from([PLAIN, TAGGED]), st.sampled_from(["BEGIN", "CREATE TABLE t (a INT)"])), max_size=6
)


def made(wanted: list[tuple[Source, str]], *, length: bool = True) -> tuple[LogFile, list[tuple[int, Gtid]]]:
    file, ends = LogFile(), []
    file.begin(BEFORE)
    for number, (source, text) in enumerate(wanted, 11):
        gtid = Gtid(source, number)
        file.transaction(gtid, number * 1_000_000, text, length=length)
        ends.append((len(file.data), gtid))
    return file, ends


@given(transactions, st.data())
def test_what_is_complete_at_each_end_of_an_event(wanted: list[tuple[Source, str]], data: st.DataObject) -> None:
    file, ends = made(wanted)
    mark, seen = Mark(), []
    # The state is written down and read back at some of the ends, as pieces do.
    saved = data.draw(st.sets(st.integers(0, len(file.ends))))
    for number, event in enumerate(EventStream(4).feed(bytes(file.data))):
        mark, done = advance(mark, event)
        seen += [done] if done else []
        complete = [gtid for end, gtid in ends if end <= event.end]
        assert mark.executed - BEFORE == GtidSet.of((gtid.source, (gtid.number, gtid.number + 1)) for gtid in complete)
        assert mark.end == event.end
        if number in saved and number > 0:
            file_id = FileId.of(A, "binlog.000012", mark.created)
            record = PieceRecord.made(file_id, "9.7.4", 0, mark, Stored(".zst", 1, "0" * 64, "1" * 64))
            mark = parse_record(record.to_bytes(), "key").mark()
    assert seen == [Done(gtid, gtid.number * 1_000_000) for _, gtid in ends]
    if wanted:
        assert (mark.first_at, mark.last_at) == (11_000_000, (10 + len(wanted)) * 1_000_000)


def test_a_server_that_does_not_say_how_long_transactions_are() -> None:
    file, ends = made([(PLAIN, "BEGIN"), (PLAIN, "BEGIN")], length=False)
    mark = Mark()
    for event in EventStream(4).feed(bytes(file.data)):
        mark, _ = advance(mark, event)
        assert len(mark.executed - BEFORE) == sum(end <= event.end for end, _ in ends)


def test_the_next_file_is_known_at_the_end() -> None:
    file = LogFile()
    file.begin(BEFORE)
    file.rotate("binlog.000013")
    mark = Mark()
    for event in EventStream(4).feed(bytes(file.data)):
        mark, _ = advance(mark, event)
    assert mark.closed
    assert mark.next_file == "binlog.000013"


def test_keys_name_what_they_are_of() -> None:
    file = FileId.of(A, "binlog.000012", 1_795_704_856)
    key = f"{file.prefix('node1')}000000000004-000000000120.zst"
    parsed = parse_key(key, "node1")
    assert parsed
    assert (parsed[0], parsed[1].start, parsed[1].end, parsed[2]) == (file, 4, 120, ".zst")
    assert parse_key(f"{file.prefix('node1')}readme", "node1") is None
    assert file.prefix("node1").startswith("node1/binlogs/")
