"""Reads what is stored: whether it is still what was sent, and what it was before it was stored."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import PurePath
from typing import IO, Final, cast

import zstandard

from wbagent.age import Identity, decrypting
from wbagent.backup.layout import COMPRESSED, object_key
from wbagent.backup.manifest import Manifest, StoredObject
from wbagent.backup.progress import Meter
from wbagent.bucket.store import Store
from wbagent.chunk import CHUNK
from wbagent.errors import BackupError, DamagedError, RestoreError

# zstd's window at level 19 with threads; a stream that asks for more memory is not of this program.
_LARGEST_WINDOW: Final = 1 << 27


def prove(
    store: Store, key: str, size: int, digest: hashlib._Hash | None, sha256: str, count: Callable[[int], None]
) -> None:
    """Read the stored object back and compare size and SHA-256; raises BackupError when they differ.

    It costs a download of the whole object: nothing else shows that what will be read one day is what was sent.
    `digest` is of the objects that this one continues, and is then of this one too. Without it, for keys that may not
    read, the size alone is compared; the store's MD5 of each part was when it was sent.
    """
    found = store.size(key)
    if found != size:
        raise _stored_otherwise(store, key, f"{found} bytes instead of {size}")
    if digest:
        for chunk in store.get(key):
            digest.update(chunk)
            count(len(chunk))
        if digest.hexdigest() != sha256:
            raise _stored_otherwise(store, key, "the same size but another SHA-256")


def require_identity(manifest: Manifest, identity: Identity | None) -> None:
    """Raise RestoreError, which says what is needed, when the backup is encrypted and there is no secret key."""
    if manifest.encryption and identity is None:
        raise RestoreError(
            f"backup {manifest.id} is encrypted to {', '.join(manifest.encryption.recipients)}; nothing was touched",
            hint="give the file with the secret key of one of them: --identity FILE (- reads it from standard input)",
        )


def check_stored(
    store: Store, manifest: Manifest, stored: StoredObject, meter: Meter, identity: Identity | None = None
) -> None:
    """Read one object of a backup and compare it with the commit record, before anything is made of it.

    One that is encrypted is decrypted on the way, so that a wrong key shows now, and at once. Raises DamagedError when
    it is no longer what was stored, RestoreError when it cannot be opened, BucketError.
    """
    require_identity(manifest, identity)
    digest = hashlib.sha256()
    with closing(_stored(store, manifest, stored)) as source:
        for _ in _decrypted(_counted(source, digest, meter), manifest, identity):
            pass
    meter.done()
    if digest.hexdigest() != stored.sha256:
        raise _changed(manifest, stored, "nothing was touched")


def plain(
    store: Store,
    manifest: Manifest,
    stored: StoredObject,
    meter: Meter,
    consequence: str,
    identity: Identity | None = None,
) -> Iterator[bytes]:
    """The object as the engine gave it, in chunks; `identity` opens it when it is encrypted.

    Raises DamagedError, which ends in `consequence`, for what cannot be decompressed and, at the end, for what is not
    what was stored; BucketError.
    """
    digest = hashlib.sha256()
    require_identity(manifest, identity)
    # What its engine has compressed itself is stored as it is, and its name says so.
    packed = COMPRESSED in PurePath(stored.file).suffixes
    try:
        with closing(_stored(store, manifest, stored)) as source:
            chunks = _decrypted(source, manifest, identity)
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


def _stored(store: Store, manifest: Manifest, stored: StoredObject) -> Generator[bytes, None, None]:
    """To be closed: who stops half way, for a wrong key, leaves a connection open otherwise."""
    for piece in stored.stored:
        yield from store.get(object_key(manifest.owner, manifest.id, piece.file))


def _decrypted(chunks: Iterator[bytes], manifest: Manifest, identity: Identity | None) -> Iterator[bytes]:
    """What was encrypted, or the chunks themselves when nothing was; raises RestoreError, DamagedError."""
    if manifest.encryption is None or identity is None:
        yield from chunks
        return
    with decrypting(identity) as age:
        try:
            for chunk in chunks:
                yield from age.feed(chunk)
            yield from age.finish()
        except RestoreError as error:
            if age.refused_key:
                # It shows at the first byte, and everything is read before anything is replaced.
                to = ", ".join(manifest.encryption.recipients)
                error.message = f"backup {manifest.id} is encrypted to {to}, and cannot be opened: {error.message}"
                error.also("nothing was touched")
            if not age.refused_input:
                raise
            # The key fits, the content does not: somebody or something has changed it.
            raise DamagedError(error.message, hint="use another: wbagent backup list") from None
        finally:
            # The error's traceback would keep the store's connection open.
            if isinstance(chunks, Generator):
                chunks.close()


def _decompressed(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """In pieces of bounded size: the empty pages of a data directory are thousands of times as large as compressed."""
    decompressor = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW)
    with decompressor.stream_reader(cast(IO[bytes], _Source(chunks)), read_size=CHUNK) as reader:
        while data := reader.read(CHUNK):
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


def _counted(chunks: Iterator[bytes], digest: hashlib._Hash, meter: Meter) -> Iterator[bytes]:
    for chunk in chunks:
        digest.update(chunk)
        meter.add(len(chunk))
        yield chunk


def _changed(manifest: Manifest, stored: StoredObject, consequence: str) -> DamagedError:
    return DamagedError(
        f"backup {manifest.id}: {stored.file} is not what was stored: its SHA-256 differs from the commit record's;"
        f" {consequence}",
        hint="use another backup (wbagent backup list), and find out who or what changed this one",
    )


def _stored_otherwise(store: Store, key: str, how: str) -> BackupError:
    return BackupError(
        f"{store.address} holds something else than was sent for {key}: {how}",
        hint='do not trust this store; if [backup] sets request_checksum_calculation = "when_supported", take that out',
    )
