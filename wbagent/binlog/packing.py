"""The one place where a piece becomes what is stored and comes back: zstd, and age where backups are encrypted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import zstandard

from wbagent.age import SUFFIX, Identity, decrypting, encrypting
from wbagent.binlog.events import MisreadError
from wbagent.binlog.layout import DATA
from wbagent.errors import RestoreError

_WINDOW: Final = 1 << 27


@dataclass(frozen=True, slots=True)
class Packing:
    """How pieces are stored: zstd's level, and the public keys that they are encrypted to, if any."""

    level: int = 3
    recipients: tuple[str, ...] = ()

    @property
    def suffix(self) -> str:
        """What the names of stored pieces end in."""
        return DATA + SUFFIX if self.recipients else DATA

    def pack(self, plain: bytes) -> bytes:
        """What is stored of a piece; raises BackupError when it cannot be encrypted."""
        packed = zstandard.ZstdCompressor(level=self.level, write_checksum=True).compress(plain)
        if not self.recipients:
            return packed
        with encrypting(self.recipients) as age:
            return b"".join([*age.feed(packed), *age.finish()])


def unpack(stored: bytes, suffix: str, size: int, identity: Identity | None) -> bytes:
    """The piece of `size` bytes again; `suffix` is what its name ends in. Raises MisreadError, RestoreError."""
    if suffix.endswith(SUFFIX):
        if identity is None:
            raise RestoreError(
                "the binary logs are encrypted", hint="give the secret key that belongs to them: --identity FILE"
            )
        with decrypting(identity) as age:
            stored = b"".join([*age.feed(stored), *age.finish()])
    try:
        plain = zstandard.ZstdDecompressor(max_window_size=_WINDOW).decompress(stored, max_output_size=size)
    except zstandard.ZstdError as error:
        raise MisreadError(f"a piece of a binary log cannot be decompressed: {error}") from None
    if len(plain) != size:
        raise MisreadError(f"a piece of a binary log has {len(plain)} bytes instead of {size}")
    return plain
