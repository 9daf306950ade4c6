"""Reads what is stored: whether it is still what was sent, and what it was before it was stored."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import PurePath
from typing import IO, Final, cast

import zstandard

from wbagent.backup.layout import COMPRESSED, object_key
from wbagent.backup.manifest import Manifest, StoredObject
from wbagent.backup.progress import Meter
from wbagent.bucket.store import Store
from wbagent.errors import BackupError, DamagedError

# zstd's window at level 19 with threads; a stream that asks for more memory is not of this program.
_LARGEST_WINDOW: Final = 1 << 27
_PIECE: Final = 1 << 20


def prove(store: Store, key: str, expected: StoredObject, meter: Meter) -> None:
    """Read the stored object back and compare size and SHA-256; raises BackupError when they differ.

    It costs a download of the whole object: nothing else shows that what will be read one day is what was sent.
    """
    size = store.size(key)
    if size != expected.size:
        raise _stored_otherwise(store, key, f"{size} bytes instead of {expected.size}")
    if _digest(store, key, meter) != expected.sha256:
        raise _stored_otherwise(store, key, "the same size but another SHA-256")


def check_stored(store: Store, manifest: Manifest, stored: StoredObject, meter: Meter) -> None:
    """Read one object of a backup and compare it with the commit record, before anything is made of it.

    Raises DamagedError when it is no longer what was stored, BucketError.
    """
    if _digest(store, object_key(manifest.owner, manifest.id, stored.file), meter) != stored.sha256:
        raise _changed(manifest, stored, "nothing was touched")


def plain(store: Store, manifest: Manifest, stored: StoredObject, meter: Meter, consequence: str) -> Iterator[bytes]:
    """The object as the engine gave it, in chunks.

    Raises DamagedError, which ends in `consequence`, for what cannot be decompressed and, at the end, for what is not
    what was stored; BucketError.
    """
    digest = hashlib.sha256()
    chunks = store.get(object_key(manifest.owner, manifest.id, stored.file))
    # What its engine has compressed itself is stored as it is, and its name says so.
    packed = COMPRESSED in PurePath(stored.file).suffixes
    try:
        for data in _decompressed(chunks) if packed else chunks:
            digest.update(data)
            meter.add(len(data))
            yield data
    except zstandard.ZstdError as error:
        raise DamagedError(
            f"backup {manifest.id}: {stored.file} cannot be decompressed ({error}); {consequence}",
            hint="use another: wbagent backup list",
        ) from None
    meter.done()
    if digest.hexdigest() != stored.plain_sha256:
        raise _changed(manifest, stored, consequence)


def _decompressed(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """In pieces of bounded size: the empty pages of a data directory are thousands of times as large as compressed."""
    decompressor = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW)
    with decompressor.stream_reader(cast(IO[bytes], _Source(chunks)), read_size=_PIECE) as reader:
        while data := reader.read(_PIECE):
            yield data


class _Source:
    """Chunks as what zstd reads from."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._left = b""

    def read(self, size: int = -1) -> bytes:
        self._left = self._left or next(self._chunks, b"")
        data, self._left = (self._left[:size], self._left[size:]) if size >= 0 else (self._left, b"")
        return data


def _digest(store: Store, key: str, meter: Meter) -> str:
    digest = hashlib.sha256()
    for chunk in store.get(key):
        digest.update(chunk)
        meter.add(len(chunk))
    meter.done()
    return digest.hexdigest()


def _changed(manifest: Manifest, stored: StoredObject, consequence: str) -> DamagedError:
    return DamagedError(
        f"backup {manifest.id}: {stored.file} is not what was stored: its SHA-256 differs from the commit record's;"
        f" {consequence}",
        hint="use another backup (wbagent backup list), and find out who or what changed this one",
    )


def _stored_otherwise(store: Store, key: str, how: str) -> BackupError:
    return BackupError(
        f"{store.address} holds something else than was sent for {key}: {how}",
        hint='set request_checksum_calculation = "when_required" in [backup] if the store is an old one',
    )
