"""Events are read as they stand in a file, however its bytes arrive; what is damaged is never taken for an event."""

from __future__ import annotations

import struct
from contextlib import suppress
from dataclasses import replace

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.binlog.log_bytes import LogFile, encoded, number
from wbagent.binlog import bodies
from wbagent.binlog.bodies import Statement, previous_gtids, statement, statements, transaction
from wbagent.binlog.events import MAGIC, Event, EventStream, Kind, MisreadError
from wbagent.binlog.gtid import Gtid, GtidSet, Source, parse_gtid

A = "40342206-e9a9-11f1-8fc5-02fc00000001"
UNTAGGED, TAGGED = Source(A), Source(A, "mytag")


def sample() -> LogFile:
    file = LogFile()
    file.begin(GtidSet.parse(f"{A}:1-11:mytag:1"))
    file.transaction(Gtid(UNTAGGED, 12), 1_000_000)
    file.transaction(Gtid(TAGGED, 2), 2_000_000)
    file.rotate("binlog.000002")
    return file


@given(st.lists(st.integers(0, 900), max_size=12))
def test_bytes_may_arrive_in_any_portions(cuts: list[int]) -> None:
    file = sample()
    stream, at = EventStream(4), 0
    found: list[Event] = []
    for cut in [*sorted(cuts), len(file.data)]:
        found += stream.feed(bytes(file.data[at:cut])) if cut > at else []
        at = max(at, cut)
    assert [event.end for event in found] == file.ends
    assert MAGIC + b"".join(event.data for event in found) == file.data
    assert stream.waiting == 0


@given(st.integers(4, 900), st.integers(0, 7))
def test_a_changed_bit_is_seen(place: int, bit: int) -> None:
    data = sample().data
    place = min(place, len(data) - 1)
    # The flag that the file is in use is not part of the checksum, by design.
    if place == 21 and bit == 0:
        return
    data[place] ^= 1 << bit
    whole = []
    try:
        whole = list(EventStream(4).feed(bytes(data)))
    except MisreadError:
        return
    # A longer size makes it wait for bytes that never come: nothing behind it is believed either.
    assert sum(len(event.data) for event in whole) < len(data) - 4


def test_an_event_that_is_not_taken_comes_again() -> None:
    file = sample()
    stream = EventStream(4)
    first = next(iter(stream.feed(bytes(file.data))))
    assert first.kind == Kind.FORMAT_DESCRIPTION
    assert [event.end for event in stream.feed(b"")] == file.ends[1:]


def test_read_from_the_midst_of_a_file() -> None:
    file = sample()
    position = file.ends[5]
    found = list(EventStream(position).feed(file.read_from(position)))
    assert (found[0].kind, found[0].start, found[0].end) == (Kind.FORMAT_DESCRIPTION, 0, 0)
    assert [event.end for event in found[1:]] == file.ends[6:]
    with pytest.raises(MisreadError, match="says that it ends at"):
        list(EventStream(position - 1).feed(file.read_from(position)))


def test_active_file_has_a_flag_that_its_checksum_does_not_know() -> None:
    file = sample()
    file.data[21] |= 1
    assert len(list(EventStream(4).feed(bytes(file.data)))) == len(file.ends)


def test_what_is_no_binary_log() -> None:
    with pytest.raises(MisreadError, match="no binary log"):
        list(EventStream().feed(b"hello world"))


@given(st.integers(0, 2**64 - 1))
def test_numbers_of_the_serialization(value: int) -> None:
    data = number(value)
    assert bodies._number(data + b"x", 0) == (value, len(data))


sets = st.dictionaries(
    st.builds(Source, st.uuids().map(str), st.sampled_from(["", "a", "some_tag"])),
    st.lists(st.tuples(st.integers(1, 10**9), st.integers(1, 99)), min_size=1, max_size=3),
    max_size=4,
)


@given(sets)
def test_encoded_sets(wanted: dict[Source, list[tuple[int, int]]]) -> None:
    gtids = GtidSet.of((source, (start, start + size)) for source, each in wanted.items() for start, size in each)
    assert previous_gtids(encoded(gtids)) == gtids


@given(st.binary(max_size=120))
def test_nothing_but_damage_comes_of_nonsense(body: bytes) -> None:
    for read in (previous_gtids, lambda data: transaction(33, data), lambda data: transaction(42, data), statement):
        with suppress(MisreadError):
            read(body)


# --- bodies that MySQL 9.7.4 wrote, without their checksums ---


def test_gtid_event_of_a_server() -> None:
    body = bytes.fromhex(
        "0040342206e9a911f18fc502fc000000010b000000000000000201000000000000000200000000000000542c1d1e2f6106fc2501506201"
    )
    found = transaction(Kind.GTID, body)
    assert str(found.gtid) == f"{A}:11"
    assert found.length == 776 - 483
    assert found.committed_at == 0x06612F1E1D2C54


def test_tagged_gtid_event_of_a_server() -> None:
    body = bytes.fromhex(
        "0272000000028068440ca503a50222c5033d02150304f103000000020404060a6d7974616708000a040c7f1dce1c1e2f6106107504128312"
    )
    found = transaction(Kind.GTID_TAGGED, body)
    assert found.gtid == parse_gtid(f"{A}:mytag:1")
    assert found.length == 483 - 198
    assert found.committed_at == 0x06612F1E1CCE1D


def test_previous_gtids_of_a_server() -> None:
    plain = "010000000000000040342206e9a911f18fc502fc00000001010000000000000001000000000000000b00000000000000"
    assert str(previous_gtids(bytes.fromhex(plain))) == f"{A}:1-10"
    tagged = (
        "010200000000000140342206e9a911f18fc502fc0000000100010000000000000001000000000000000c0000000000000040342206"
        "e9a911f18fc502fc000000010a6d79746167010000000000000001000000000000000200000000000000"
    )
    assert str(previous_gtids(bytes.fromhex(tagged))) == f"{A}:1-11:mytag:1"


# --- compressed transactions ---


def payload(events_of_it: bytes, compression: int) -> bytes:
    """A TRANSACTION_PAYLOAD event's body."""
    data = zstandard.compress(events_of_it) if compression == 0 else events_of_it
    size = b"\xfd" + len(events_of_it).to_bytes(3, "little")
    kind = b"\xfc\xff\x00" if compression else b"\x00"
    return b"\x02" + bytes([len(kind)]) + kind + b"\x03\x04" + size + b"\x01\x01\x05" + b"\x00" + data


@pytest.mark.parametrize("compression", [0, 255])
def test_statements_within_a_compressed_transaction(compression: int) -> None:
    inner = b""
    for kind, body in ((2, b"\1\0\0\0" + bytes(4) + b"\4" + bytes(4) + b"orig\0DROP TABLE orig.t"), (30, b"rows")):
        inner += struct.pack("<IBIIIH", 1, kind, 7, 19 + len(body), 0, 0) + body
    event = Event(Kind.TRANSACTION_PAYLOAD, 0, 1, 0, 0, b"", payload(inner, compression))
    assert list(statements(event)) == [Statement("orig", "DROP TABLE orig.t")]
    with pytest.raises(MisreadError):
        list(statements(replace(event, body=payload(inner[:-1] + b"x" * 30, compression))))


@pytest.mark.parametrize(("flags", "mode"), [(bytes(5), 1 << 2), (b"", 1 << 2 | 1 << 20), (bytes(5), 0)])
def test_the_mode_of_a_statement(flags: bytes, mode: int) -> None:
    variables = flags + b"\1" + mode.to_bytes(8, "little") + b"\6\3std"
    body = struct.pack("<IIBHH", 1, 0, 4, 0, len(variables)) + variables + b"orig\0DROP TABLE t"
    assert statement(body) == Statement("orig", "DROP TABLE t", bool(mode & 4), bool(mode >> 20))


@given(st.binary(max_size=80))
def test_nonsense_within_a_compressed_transaction(body: bytes) -> None:
    with suppress(MisreadError):
        list(statements(Event(Kind.TRANSACTION_PAYLOAD, 0, 1, 0, 0, b"", body)))
