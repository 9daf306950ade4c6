"""From the dump's text to the stored object in one pass: filter, hash, compress, hash, upload; bounded memory."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import zstandard

from wbagent.backup.dump_text import DumpText
from wbagent.backup.manifest import StoredObject
from wbagent.backup.progress import Meter
from wbagent.bucket.store import Store, Writer
from wbagent.errors import BackupError

_MOST_THREADS: Final = 4


@dataclass(frozen=True, slots=True)
class Compression:
    """zstd's level and how many threads compress."""

    level: int
    threads: int = min(_MOST_THREADS, os.cpu_count() or 1)


class Pipeline:
    """Takes the dump's chunks and gives compressed ones to a writer; knows both checksums at the end."""

    def __init__(self, writer: Writer, compression: Compression, meter: Meter) -> None:
        self.text = DumpText()
        self._writer = writer
        self._meter = meter
        self._plain, self._stored = hashlib.sha256(), hashlib.sha256()
        self._plain_size = self._stored_size = 0
        compressor = zstandard.ZstdCompressor(level=compression.level, threads=compression.threads, write_checksum=True)
        self._compressor = compressor.compressobj()

    def run(self, chunks: Iterable[bytes], on_begin: Callable[[], None]) -> None:
        """Take every chunk; calls `on_begin` once, when the dump has its snapshot."""
        told = False
        for chunk in chunks:
            self._pass_on(self.text.feed(chunk))
            if self.text.began and not told:
                told = True
                on_begin()

    def finish(self) -> StoredObject:
        """Pass on the rest; raises BackupError when the dump has no proper end. The writer is not yet committed."""
        self._pass_on(self.text.finish())
        self._store(self._compressor.flush())
        self._meter.done()
        return StoredObject(
            size=self._stored_size,
            sha256=self._stored.hexdigest(),
            plain_size=self._plain_size,
            plain_sha256=self._plain.hexdigest(),
        )

    def _pass_on(self, plain: bytes) -> None:
        if plain:
            self._plain.update(plain)
            self._plain_size += len(plain)
            self._meter.add(len(plain))
            self._store(self._compressor.compress(plain))

    def _store(self, data: bytes) -> None:
        if data:
            self._stored.update(data)
            self._stored_size += len(data)
            self._meter.add(0, len(data))
            self._writer.write(data)


def prove(store: Store, key: str, expected: StoredObject, meter: Meter) -> None:
    """Read the stored object back and compare size and SHA-256; raises BackupError when they differ.

    It costs a download of the whole object: nothing else shows that what will be read one day is what was sent.
    """
    size = store.size(key)
    if size != expected.size:
        raise _differs(store, key, f"{size} bytes instead of {expected.size}")
    if stored_digest(store, key, meter) != expected.sha256:
        raise _differs(store, key, "the same size but another SHA-256")


def stored_digest(store: Store, key: str, meter: Meter) -> str:
    """Read a whole stored object and return its SHA-256 as hexadecimal text; raises BucketError."""
    digest = hashlib.sha256()
    for chunk in store.get(key):
        digest.update(chunk)
        meter.add(len(chunk))
    meter.done()
    return digest.hexdigest()


def _differs(store: Store, key: str, how: str) -> BackupError:
    return BackupError(
        f"{store.address} holds something else than was sent for {key}: {how}",
        hint='set request_checksum_calculation = "when_required" in [backup] if the store is an old one',
    )
