"""From an engine's stream to the stored object in one pass: hash, compress, hash, upload; bounded memory."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import Final

import zstandard

from wbagent.backup.manifest import StoredObject
from wbagent.backup.progress import Meter
from wbagent.bucket.store import Writer

_MOST_THREADS: Final = 4


@dataclass(frozen=True, slots=True)
class Compression:
    """zstd's level and how many threads compress."""

    level: int
    threads: int = min(_MOST_THREADS, os.cpu_count() or 1)


class Pipeline:
    """Takes a stream's chunks and gives them to a writer as they are stored; knows both checksums at the end."""

    def __init__(self, writer: Writer, compression: Compression | None, meter: Meter) -> None:
        """Without `compression` the chunks are stored as they come: they are compressed already."""
        self._writer = writer
        self._meter = meter
        self._plain, self._stored = hashlib.sha256(), hashlib.sha256()
        self._plain_size = self._stored_size = 0
        self._compressor = (
            compression
            and zstandard.ZstdCompressor(
                level=compression.level, threads=compression.threads, write_checksum=True
            ).compressobj()
        )

    def write(self, plain: bytes) -> None:
        """Pass on the next bytes of the stream; raises BucketError."""
        if plain:
            self._plain.update(plain)
            self._plain_size += len(plain)
            self._meter.add(len(plain))
            self._store(self._compressor.compress(plain) if self._compressor else plain)

    def finish(self, file: str) -> StoredObject:
        """Pass on the rest; the writer is not yet committed. `file` is the name that the object is stored under."""
        if self._compressor:
            self._store(self._compressor.flush())
        self._meter.done()
        return StoredObject(
            file=file,
            size=self._stored_size,
            sha256=self._stored.hexdigest(),
            plain_size=self._plain_size,
            plain_sha256=self._plain.hexdigest(),
        )

    def _store(self, data: bytes) -> None:
        if data:
            self._stored.update(data)
            self._stored_size += len(data)
            self._meter.add(0, len(data))
            self._writer.write(data)
