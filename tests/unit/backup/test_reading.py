"""What is stored comes back as it was given, in pieces of bounded size, or is called damaged."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import zstandard

from tests.unit.backup.sample_manifest import manifest
from wbagent.backup.layout import object_key
from wbagent.backup.manifest import Manifest, StoredObject
from wbagent.backup.progress import Meter, Progress
from wbagent.backup.reading import plain
from wbagent.bucket.directory import DirectoryStore
from wbagent.errors import DamagedError

# Mostly empty, as a data directory is: one compressed chunk is all of it.
DATA = bytes(64 << 20) + b"something" * 1000


def ignore(_progress: Progress) -> None:
    """A reporter that nobody reads."""


def stored(store: DirectoryStore, file: str, data: bytes, kept: bytes) -> Manifest:
    digests = hashlib.sha256(kept).hexdigest(), hashlib.sha256(data).hexdigest()
    record = StoredObject(file=file, size=len(kept), sha256=digests[0], plain_size=len(data), plain_sha256=digests[1])
    made = manifest(objects=(record,))
    store.put(object_key(made.owner, made.id, file), kept)
    return made


def read(store: DirectoryStore, backup: Manifest) -> list[bytes]:
    return list(plain(store, backup, backup.data, Meter("reading", ignore), "it is thrown away"))


def test_pieces_stay_small_however_well_it_was_compressed(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    packed = zstandard.ZstdCompressor().compress(DATA)
    assert len(packed) < 1 << 20
    pieces = read(store, stored(store, "datadir.tar.zst", DATA, packed))
    assert max(len(piece) for piece in pieces) <= 1 << 20
    assert b"".join(pieces) == DATA


def test_what_its_engine_compressed_is_passed_on(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    assert b"".join(read(store, stored(store, "mydumper.tar", b"a tar", b"a tar"))) == b"a tar"


@pytest.mark.parametrize("cut", [1000, 10])
def test_what_broke_off_is_damaged(tmp_path: Path, cut: int) -> None:
    store = DirectoryStore(tmp_path)
    packed = zstandard.ZstdCompressor().compress(DATA)
    with pytest.raises(DamagedError, match="it is thrown away"):
        read(store, stored(store, "datadir.tar.zst", DATA, packed[:-cut]))


def test_bytes_that_are_no_zstd_are_damaged(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    with pytest.raises(DamagedError, match="cannot be decompressed"):
        read(store, stored(store, "database.sql.zst", b"SQL", b"not zstd at all"))
