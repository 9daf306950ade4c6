"""The one place where a piece becomes what is stored and comes back: zstd, and what may follow it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import zstandard

from wbagent.binlog.events import DamagedError
from wbagent.binlog.layout import DATA

_WINDOW: Final = 1 << 27


@dataclass(frozen=True, slots=True)
class Packing:
    """How pieces are stored: zstd's level; `suffix` is what their names end in."""

    level: int = 3
    suffix: str = DATA

    def pack(self, plain: bytes) -> bytes:
        """What is stored of a piece."""
        return zstandard.ZstdCompressor(level=self.level, write_checksum=True).compress(plain)

    def unpack(self, stored: bytes, size: int) -> bytes:
        """The piece of `size` bytes again; raises DamagedError."""
        try:
            plain = zstandard.ZstdDecompressor(max_window_size=_WINDOW).decompress(stored, max_output_size=size)
        except zstandard.ZstdError as error:
            raise DamagedError(f"a piece of a binary log cannot be decompressed: {error}") from None
        if len(plain) != size:
            raise DamagedError(f"a piece of a binary log has {len(plain)} bytes instead of {size}")
        return plain
