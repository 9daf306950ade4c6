"""The events of a binary log file, their headers and checksums (MySQL's libs/mysql/binlog/event/binlog_event.h)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from wbagent.errors import EX_IOERR, WbagentError

MAGIC: Final = b"\xfebin"
HEADER: Final = struct.Struct("<IBIIIH")
_CHECKSUM_SIZE: Final = 4
_CRC32: Final = 1
# Where the flags of the format description lie in a file; the active file's first bit is set there.
IN_USE: Final = 0x01
# A header that speaks of less or more than MySQL can write is no header.
_LARGEST: Final = (1 << 30) + (1 << 20)


class Kind(IntEnum):
    """The types that matter here; others are numbers."""

    QUERY = 2
    STOP = 3
    ROTATE = 4
    FORMAT_DESCRIPTION = 15
    XID = 16
    GTID = 33
    ANONYMOUS_GTID = 34
    PREVIOUS_GTIDS = 35
    TRANSACTION_PAYLOAD = 40
    GTID_TAGGED = 42


class MisreadError(WbagentError):
    """What was read is not what a server writes; read it once more."""

    exit_status = EX_IOERR


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a file; `start` and `end` are offsets in that file, `data` all of it with header and checksum.

    `body` is what lies between those two; `timestamp` in seconds since the epoch.
    """

    kind: int
    start: int
    end: int
    timestamp: int
    flags: int
    data: bytes
    body: bytes


class EventStream:
    """Turns the bytes of one file into its events; what is not whole yet waits for more."""

    def __init__(self, at: int = 0) -> None:
        """`at`: the offset in the server's file of the first event after the format description.

        What mysqlbinlog reads from such an offset has the file's first event before it, without a position.
        """
        self._buffer = bytearray()
        self._offset = at
        self._started = self._described = False
        self._checksums = False

    @property
    def waiting(self) -> int:
        """Bytes of an event that is not whole yet."""
        return len(self._buffer)

    def feed(self, data: bytes) -> Iterator[Event]:
        """The events that are whole now; raises MisreadError."""
        self._buffer += data
        at = 0
        try:
            if not self._started:
                if len(self._buffer) < len(MAGIC):
                    return
                if self._buffer[: len(MAGIC)] != MAGIC:
                    raise MisreadError("what was read is no binary log: it does not begin with \\xfebin")
                self._started, at = True, len(MAGIC)
            while (event := self._next(at)) is not None:
                at += len(event.data)
                yield event
        finally:
            del self._buffer[:at]

    def _next(self, at: int) -> Event | None:
        if len(self._buffer) - at < HEADER.size:
            return None
        timestamp, kind, _, size, position, flags = HEADER.unpack_from(self._buffer, at)
        if not HEADER.size <= size <= _LARGEST:
            raise MisreadError(f"an event at {self._offset} claims to have {size} bytes")
        if len(self._buffer) - at < size:
            return None
        data = bytes(self._buffer[at : at + size])
        return self._placed(kind, timestamp, position, flags, data)

    def _placed(self, kind: int, timestamp: int, position: int, flags: int, data: bytes) -> Event:
        if not self._described and kind != Kind.FORMAT_DESCRIPTION:
            raise MisreadError(f"what was read begins with an event of type {kind} instead of its description")
        if kind == Kind.FORMAT_DESCRIPTION:
            self._described = True
            # Its last byte before the checksum says whether events have one; its own is always there.
            self._checksums = data[-_CHECKSUM_SIZE - 1] == _CRC32
            if position == 0:
                _verify(data, self._offset)
                return Event(kind, 0, 0, timestamp, flags, data, data[HEADER.size : -_CHECKSUM_SIZE])
            self._offset = len(MAGIC)
        start = self._offset
        end = self._offset = start + len(data)
        # Positions have 32 bits, and one large transaction makes a file that is larger than that.
        if position != end & 0xFFFFFFFF:
            raise MisreadError(f"the event at {start} says that it ends at {position} instead of {end}")
        tail = _CHECKSUM_SIZE if self._checksums or kind == Kind.FORMAT_DESCRIPTION else 0
        if tail:
            _verify(data, start)
        return Event(kind, start, end, timestamp, flags, data, data[HEADER.size : len(data) - tail])


def _verify(data: bytes, start: int) -> None:
    # The server computes the format description's checksum without the flag that the file is in use.
    plain = data
    if data[4] == Kind.FORMAT_DESCRIPTION and data[17] & IN_USE:
        plain = data[:17] + bytes([data[17] & ~IN_USE]) + data[18:]
    if zlib.crc32(plain[:-_CHECKSUM_SIZE]) != int.from_bytes(data[-_CHECKSUM_SIZE:], "little"):
        raise MisreadError(f"the checksum of the event at {start} is wrong")
