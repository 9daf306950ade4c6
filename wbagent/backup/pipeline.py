"""From an engine's stream to what is stored in one pass: hash, compress, encrypt, pass on; bounded memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import zstandard

from wbagent.age import SUFFIX, Age, encrypting
from wbagent.backup.layout import COMPRESSED
from wbagent.backup.progress import Meter
from wbagent.bucket.store import Writer
from wbagent.chunk import CHUNK


@dataclass(frozen=True, slots=True)
class Packing:
    """How a stream becomes what is stored: zstd's level and threads, and the public keys that it is encrypted to.

    Without a level it is not compressed: it is already.
    """

    level: int | None
    threads: int = 1
    recipients: Sequence[str] = ()

    @property
    def suffix(self) -> str:
        """What the stored object's name ends in."""
        return (COMPRESSED if self.level else "") + (SUFFIX if self.recipients else "")


@dataclass(frozen=True, slots=True)
class Plain:
    """The stream as its engine gave it, in bytes."""

    size: int
    sha256: str


@contextmanager
def packed(packing: Packing, writer: Writer, meter: Meter) -> Iterator[Pipeline]:
    """A pipeline into `writer`; leaving the block ends what it has started. Raises BackupError."""
    with ExitStack() as stack:
        encryptor = stack.enter_context(encrypting(packing.recipients)) if packing.recipients else None
        yield Pipeline(writer, packing, encryptor, meter)


class Pipeline:
    """Takes a stream's chunks and gives what is to be stored to a writer; knows at the end what it was given."""

    def __init__(self, writer: Writer, packing: Packing, encryptor: Age | None, meter: Meter) -> None:
        self._writer = writer
        self._encryptor = encryptor
        self._meter = meter
        self._plain, self._plain_size = hashlib.sha256(), 0
        # In chunks, as CHUNK explains: the usual interface gives blocks of hundreds of kilobytes.
        self._chunker = _compressor(packing.level, packing.threads).chunker(chunk_size=CHUNK) if packing.level else None

    def write(self, plain: bytes) -> None:
        """Pass on the next bytes of the stream; raises BucketError, BackupError."""
        if plain:
            self._plain.update(plain)
            self._plain_size += len(plain)
            self._meter.add(len(plain))
            for data in self._chunker.compress(plain) if self._chunker else (plain,):
                self._encrypt(data)

    def finish(self) -> Plain:
        """Pass on the rest; the writer is not yet committed."""
        if self._chunker:
            for data in self._chunker.finish():  # type: ignore[no-untyped-call] # zstandard's stub lacks its types
                self._encrypt(data)
        if self._encryptor:
            for data in self._encryptor.finish():
                self._store(data)
        self._meter.done()
        return Plain(self._plain_size, self._plain.hexdigest())

    def _encrypt(self, data: bytes) -> None:
        if self._encryptor is None:
            self._store(data)
        else:
            for encrypted in self._encryptor.feed(data):
                self._store(encrypted)

    def _store(self, data: bytes) -> None:
        if data:
            self._meter.add(0, len(data))
            self._writer.write(data)


def _compressor(level: int, threads: int) -> zstandard.ZstdCompressor:
    """zstd with threads takes jobs of four windows at a time and holds several: half of that costs 3 % of size."""
    usual = zstandard.ZstdCompressionParameters.from_level(level)
    return zstandard.ZstdCompressor(
        compression_params=zstandard.ZstdCompressionParameters.from_level(
            level,
            # One thread is the one that reads and hashes: no copies for another.
            threads=threads if threads > 1 else 0,
            job_size=2 << usual.window_log if threads > 1 else 0,
            write_checksum=True,
        )
    )
