"""Reads what is stored: whether it is still what was sent, and what it was before it was stored."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Final

import zstandard

from wbagent.backup.age import Identity, decrypting
from wbagent.backup.layout import object_key
from wbagent.backup.manifest import Manifest, StoredObject
from wbagent.backup.progress import Meter
from wbagent.bucket.store import Store
from wbagent.errors import BackupError, RestoreError

# zstd's window at level 19 with threads; a stream that asks for more memory is not of this program.
_LARGEST_WINDOW: Final = 1 << 27


def prove(store: Store, key: str, expected: StoredObject, meter: Meter, *, read: bool = True) -> None:
    """Read the stored object back and compare size and SHA-256; raises BackupError when they differ.

    It costs a download of the whole object: nothing else shows that what will be read one day is what was sent. Without
    `read`, for keys that may not, the size alone is compared; the store's MD5 of each part was when it was sent.
    """
    size = store.size(key)
    if size != expected.size:
        raise _stored_otherwise(store, key, f"{size} bytes instead of {expected.size}")
    if read and _digest(store, key, meter) != expected.sha256:
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

    One that is encrypted is decrypted on the way, so that a wrong key shows now, and at once. Raises RestoreError when
    it is no longer what was stored or cannot be opened, BucketError.
    """
    require_identity(manifest, identity)
    digest = hashlib.sha256()
    chunks = _counted(store.get(object_key(manifest.owner, manifest.id, stored.file)), digest, meter)
    for _ in _decrypted(chunks, manifest, identity):
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

    Raises RestoreError, which ends in `consequence`, for what cannot be decompressed and, at the end, for what is not
    what was stored; BucketError.
    """
    digest = hashlib.sha256()
    decompressor = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW).decompressobj()
    require_identity(manifest, identity)
    for chunk in _decrypted(store.get(object_key(manifest.owner, manifest.id, stored.file)), manifest, identity):
        try:
            data = decompressor.decompress(chunk)
        except zstandard.ZstdError as error:
            raise RestoreError(
                f"backup {manifest.id}: {stored.file} cannot be decompressed ({error}); {consequence}",
                hint="use another: wbagent backup list",
            ) from None
        digest.update(data)
        meter.add(len(data))
        if data:
            yield data
    meter.done()
    if digest.hexdigest() != stored.plain_sha256:
        raise _changed(manifest, stored, consequence)


def _decrypted(chunks: Iterator[bytes], manifest: Manifest, identity: Identity | None) -> Iterator[bytes]:
    """What was encrypted, or the chunks themselves when nothing was; raises RestoreError."""
    if manifest.encryption is None or identity is None:
        yield from chunks
        return
    with decrypting(identity) as age:
        for chunk in chunks:
            yield from age.feed(chunk)
        yield from age.finish()


def _digest(store: Store, key: str, meter: Meter) -> str:
    digest = hashlib.sha256()
    for _ in _counted(store.get(key), digest, meter):
        pass
    meter.done()
    return digest.hexdigest()


def _counted(chunks: Iterator[bytes], digest: hashlib._Hash, meter: Meter) -> Iterator[bytes]:
    for chunk in chunks:
        digest.update(chunk)
        meter.add(len(chunk))
        yield chunk


def _changed(manifest: Manifest, stored: StoredObject, consequence: str) -> RestoreError:
    return RestoreError(
        f"backup {manifest.id}: {stored.file} is not what was stored: its SHA-256 differs from the commit record's;"
        f" {consequence}",
        hint="use another backup (wbagent backup list), and find out who or what changed this one",
    )


def _stored_otherwise(store: Store, key: str, how: str) -> BackupError:
    return BackupError(
        f"{store.address} holds something else than was sent for {key}: {how}",
        hint='set request_checksum_calculation = "when_required" in [backup] if the store is an old one',
    )
