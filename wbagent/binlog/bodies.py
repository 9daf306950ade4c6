"""The few bodies of events that positions and a restore's end depend on.

The layout is that of MySQL's libs/mysql/binlog/event/control_events.h. Everything else in an event is left alone:
MySQL's own mysqlbinlog reads it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import zstandard

from wbagent.binlog.events import HEADER, Event, Kind, MisreadError
from wbagent.binlog.gtid import Gtid, GtidSet, Interval, Source

# binlog_transaction_compression knows only this, and 255 for none.
_ZSTD: Final = 0
_QUERY_HEADER: Final = struct.Struct("<IIBHH")
# Bits of sql_mode (sql/system_variables.h).
_ANSI_QUOTES: Final = 1 << 2
_NO_BACKSLASH_ESCAPES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Transaction:
    """What a GTID event says of the transaction that it begins.

    `committed_at`: microseconds since the epoch, on the server where it was first committed, or 0 when the server is
    too old to say (5.7). `length`: bytes up to the end of its last event, or 0 then.
    """

    gtid: Gtid
    committed_at: int
    length: int


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement that was logged as such, and the database that it ran in ("" for none).

    The last two are of the sql_mode that it ran under, and decide what in its text is a string.
    """

    database: str
    text: str
    ansi_quotes: bool = False
    no_backslash_escapes: bool = False


def previous_gtids(body: bytes) -> GtidSet:
    """Everything that was executed before this file, out of a PREVIOUS_GTIDS event; raises MisreadError."""
    try:
        return GtidSet.of(_encoded_set(body))
    except (struct.error, IndexError, UnicodeDecodeError, ValueError) as error:
        raise MisreadError(f"an encoded set of GTIDs cannot be read: {error}") from None


def transaction(kind: int, body: bytes) -> Transaction:
    """Read a GTID event, tagged or not; raises MisreadError."""
    try:
        return _tagged(body) if kind == Kind.GTID_TAGGED else _untagged(body)
    except (struct.error, IndexError, KeyError, UnicodeDecodeError, ValueError) as error:
        raise MisreadError(f"a GTID event cannot be read: {error!r}") from None


def statement(body: bytes) -> Statement:
    """Read a QUERY event; raises MisreadError."""
    try:
        _, _, name, _, variables = _QUERY_HEADER.unpack_from(body)
    except struct.error as error:
        raise MisreadError(f"a statement cannot be read: {error}") from None
    at = _QUERY_HEADER.size + variables
    mode = _sql_mode(body[_QUERY_HEADER.size : at])
    return Statement(
        body[at : at + name].decode(errors="replace"),
        body[at + name + 1 :].decode(errors="surrogateescape"),
        ansi_quotes=bool(mode & _ANSI_QUOTES),
        no_backslash_escapes=bool(mode & _NO_BACKSLASH_ESCAPES),
    )


def _sql_mode(variables: bytes) -> int:
    """Out of the variables of a QUERY event: the second of them, behind four bytes of flags."""
    at = 5 if variables[:1] == b"\0" else 0
    return int.from_bytes(variables[at + 1 : at + 9], "little") if variables[at : at + 1] == b"\1" else 0


def statements(event: Event) -> Iterator[Statement]:
    """The statements in an event: of a QUERY, or within a compressed transaction; raises MisreadError."""
    if event.kind == Kind.QUERY:
        yield statement(event.body)
    elif event.kind == Kind.TRANSACTION_PAYLOAD:
        plain, at = _payload(event.body), 0
        while at < len(plain):
            kind, size = _inner_header(plain, at)
            if kind == Kind.QUERY:
                # Within a compressed transaction events have no checksums of their own.
                yield statement(plain[at + HEADER.size : at + size])
            at += size


def _inner_header(data: bytes, at: int) -> tuple[int, int]:
    """Type and size of the event at this place within a compressed transaction."""
    if len(data) - at >= HEADER.size:
        _, kind, _, size, _, _ = HEADER.unpack_from(data, at)
        if HEADER.size <= size <= len(data) - at:
            return kind, size
    raise MisreadError("a compressed transaction ends within an event")


def _payload(body: bytes) -> bytes:
    """What a TRANSACTION_PAYLOAD event holds: fields of type, length and value, then the events."""
    compression, size, at = _ZSTD, 0, 0
    try:
        while (kind := body[at]) != 0:
            length, value = body[at + 1], _packed(body, at + 2)
            compression, size = (value if kind == 2 else compression), (value if kind == 3 else size)
            at += 2 + length
    except IndexError:
        raise MisreadError("a compressed transaction has no end of its fields") from None
    if compression != _ZSTD:
        return body[at + 1 :]
    try:
        return zstandard.ZstdDecompressor(max_window_size=1 << 27).decompress(body[at + 1 :], max_output_size=size)
    except zstandard.ZstdError as error:
        raise MisreadError(f"a compressed transaction cannot be read: {error}") from None


def next_file(body: bytes) -> str:
    """The name of the file that follows, out of a ROTATE event."""
    return body[8:].decode(errors="replace")


def _encoded_set(body: bytes) -> Iterator[tuple[Source, Interval]]:
    # Gtid_set::encode: the last of the first eight bytes says whether tags are written.
    with_tags = body[7] == 1
    count = int.from_bytes(body[1:7] if with_tags else body[:8], "little")
    at = 8
    for _ in range(count):
        uuid, tag, at = str(UUID(bytes=body[at : at + 16])), "", at + 16
        if with_tags:
            size, at = _number(body, at)
            tag, at = body[at : at + size].decode(), at + size
        (intervals,) = struct.unpack_from("<Q", body, at)
        at += 8
        for _ in range(intervals):
            start, end = struct.unpack_from("<QQ", body, at)
            at += 16
            yield Source(uuid, tag), (start, end)


def _untagged(body: bytes) -> Transaction:
    gtid = Gtid(Source(str(UUID(bytes=body[1:17]))), *struct.unpack_from("<q", body, 17))
    # 5.7 ends after the two logical timestamps (type 2), which are for parallel replicas.
    if len(body) < 42 + 7 or body[25] != 2:
        return Transaction(gtid, 0, 0)
    committed, at = int.from_bytes(body[42:49], "little"), 49
    if committed >> 55:
        committed, at = int.from_bytes(body[49:56], "little"), 56
    return Transaction(gtid, committed, _packed(body, at) if at < len(body) else 0)


def _packed(body: bytes, at: int) -> int:
    """An integer of MySQL's protocol (net_field_length)."""
    first = body[at]
    size = {0xFC: 2, 0xFD: 3, 0xFE: 8}.get(first, 0)
    return int.from_bytes(body[at + 1 : at + 1 + size], "little") if size else first


def _tagged(body: bytes) -> Transaction:
    """The fields that are needed out of MySQL's own serialization (libs/mysql/serialization): numbered, in order."""
    at = 0
    for _ in range(3):
        # Version, size, last field that must be understood.
        _, at = _number(body, at)
    found: dict[int, int] = {}
    uuid, tag = b"", ""
    while at < len(body) and max(found, default=0) < 8:
        number, at = _number(body, at)
        if number == 1:
            octets = []
            for _ in range(16):
                octet, at = _number(body, at)
                octets.append(octet)
            uuid = bytes(octets)
            continue
        value, at = _number(body, at)
        if number == 3:
            tag, at = body[at : at + value].decode(), at + value
        found[number] = value
    # 2, the transaction's number, is signed (zigzag); 6 and 7, immediate and original commit; 8, length.
    gtid = Gtid(Source(str(UUID(bytes=uuid)), tag), found[2] >> 1)
    return Transaction(gtid, found.get(7, found.get(6, 0)), found.get(8, 0))


def _number(body: bytes, at: int) -> tuple[int, int]:
    """An integer of as many bytes as its lowest bits say, and where it ends."""
    first = body[at]
    size = 1 + ((~first & (first + 1)).bit_length() - 1 if first != 0xFF else 8)
    if at + size > len(body):
        raise IndexError("it ends within a number")
    value = int.from_bytes(body[at : at + size], "little")
    return value >> min(size, 8), at + size
