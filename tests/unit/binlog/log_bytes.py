"""Binary log files made by hand, with any events in them, as a MySQL 9.7 server writes them."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from uuid import UUID

from wbagent.binlog.events import MAGIC, Kind
from wbagent.binlog.gtid import Gtid, GtidSet

_HEADER = struct.Struct("<IBIIIH")


def number(value: int) -> bytes:
    """An integer in MySQL's serialization: as many bytes as its lowest bits say."""
    for size in range(1, 9):
        if value < 1 << (7 * size):
            return (value << size | (1 << (size - 1)) - 1).to_bytes(size, "little")
    return b"\xff" + value.to_bytes(8, "little")


def encoded(gtids: GtidSet) -> bytes:
    """A set of GTIDs as the PREVIOUS_GTIDS event has it."""
    tagged = any(source.tag for source in gtids.intervals)
    count = len(gtids.intervals).to_bytes(6, "little")
    body = b"\1" + count + b"\1" if tagged else count + b"\0\0"
    for source, intervals in gtids.intervals.items():
        body += UUID(source.uuid).bytes + (number(len(source.tag)) + source.tag.encode() if tagged else b"")
        body += struct.pack("<Q", len(intervals)) + b"".join(struct.pack("<QQ", *each) for each in intervals)
    return body


def gtid_body(gtid: Gtid, at: int, length: int, original: int = 0) -> bytes:
    """A GTID event's body; times in microseconds."""
    uuid = UUID(gtid.source.uuid).bytes
    if gtid.source.tag:
        tag = gtid.source.tag.encode()
        fields = number(0) + number(1) + number(1) + b"".join(number(octet) for octet in uuid)
        fields += number(2) + number(gtid.number << 1) + number(3) + number(len(tag)) + tag
        fields += number(4) + number(0) + number(5) + number(2) + number(6) + number(at)
        fields += (number(7) + number(original) if original else b"") + number(8) + number(length) + number(9)
        return number(1) + number(len(fields) + 3) + number(0) + fields + number(90704)
    times = (
        (at | 1 << 55).to_bytes(7, "little") + original.to_bytes(7, "little") if original else at.to_bytes(7, "little")
    )
    return (
        b"\0"
        + uuid
        + struct.pack("<q", gtid.number)
        + b"\2"
        + bytes(16)
        + times
        + b"\xfd"
        + length.to_bytes(3, "little")
    )


@dataclass
class LogFile:
    """One file, growing event by event."""

    created: int = 1_795_704_856
    data: bytearray = field(default_factory=lambda: bytearray(MAGIC))
    ends: list[int] = field(default_factory=list)

    def event(self, kind: int, body: bytes, *, at: int = 0) -> None:
        size = _HEADER.size + len(body) + 4
        header = _HEADER.pack(at or self.created, kind, 7, size, len(self.data) + size & 0xFFFFFFFF, 0)
        self.data += header + body + zlib.crc32(header + body).to_bytes(4, "little")
        self.ends.append(len(self.data))

    def begin(self, previous: GtidSet) -> None:
        self.event(Kind.FORMAT_DESCRIPTION, b"\4\0" + b"9.7.4".ljust(50, b"\0") + bytes(44) + b"\1")
        self.event(Kind.PREVIOUS_GTIDS, encoded(previous))

    def transaction(self, gtid: Gtid, at: int, text: str = "BEGIN", *, rows: int = 10, length: bool = True) -> None:
        """A GTID event, a statement, a row event and the commit; `at`: microseconds."""
        statement = struct.pack("<IIBHH", 1, 0, 4, 0, 0) + b"orig\0" + text.encode()
        rest = [(Kind.QUERY, statement), (30, bytes(rows)), (Kind.XID, bytes(8))]
        after = sum(_HEADER.size + len(body) + 4 for _, body in rest)
        own = _HEADER.size + len(gtid_body(gtid, at, 0x10000)) + 4
        # Integers of other lengths make tagged events of other lengths: as long as it takes to agree.
        body = gtid_body(gtid, at, own + after)
        while _HEADER.size + len(body) + 4 != own:
            own = _HEADER.size + len(body) + 4
            body = gtid_body(gtid, at, own + after)
        if not length:
            body = body[:42]
        self.event(Kind.GTID_TAGGED if gtid.source.tag else Kind.GTID, body)
        for kind, data in rest:
            self.event(kind, data)

    def rotate(self, name: str) -> None:
        self.event(Kind.ROTATE, struct.pack("<Q", 4) + name.encode())

    def read_from(self, position: int) -> bytes:
        """What mysqlbinlog writes that begins at `position`: the first event, without a position, before the rest."""
        if position == len(MAGIC):
            return bytes(self.data)
        first = bytearray(self.data[len(MAGIC) : self.ends[0]])
        first[13:17] = bytes(4)
        first[-4:] = zlib.crc32(first[:-4]).to_bytes(4, "little")
        return MAGIC + bytes(first) + bytes(self.data[position:])
