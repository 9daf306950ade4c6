"""A stream becomes objects of bounded size that are the stream one after the other, or nothing, or is found out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.backup.sample_manifest import ID, manifest
from wbagent.backup.catalog import find_backup, read_catalog
from wbagent.backup.layout import manifest_key, owner_prefix, piece_name
from wbagent.backup.manifest import IN_PIECES, Manifest, StoredObject, parse_manifest
from wbagent.backup.pipeline import Packing, Plain, packed
from wbagent.backup.progress import Meter, Progress
from wbagent.backup.reading import plain
from wbagent.backup.storing import Storing, size_for
from wbagent.bucket.directory import DirectoryStore
from wbagent.bucket.store import Entry
from wbagent.errors import BackupError, DamagedError

SIZE = 1000
BACKUP = ("host1", ID)
FILE = "mydumper.tar"


def ignore(_progress: Progress) -> None:
    """A reporter that nobody reads."""


def stored(store: DirectoryStore) -> list[Entry]:
    return [each for each in store.entries(f"{owner_prefix('host1')}{ID}/") if not each.key.endswith("manifest.json")]


def store_stream(store: DirectoryStore, data: bytes, chunk: int) -> StoredObject:
    with Storing(store, BACKUP, FILE, SIZE) as storing:
        for start in range(0, len(data), chunk):
            storing.write(data[start : start + chunk])
        storing.commit()
        return storing.proven(Plain(len(data), hashlib.sha256(data).hexdigest()), ignore)


def committed(store: DirectoryStore, record: StoredObject) -> Manifest:
    made = manifest(format=IN_PIECES, engine="mydumper", objects=(record,))
    store.put(manifest_key(*BACKUP), made.to_bytes())
    return made


def read(store: DirectoryStore, backup: Manifest) -> bytes:
    return b"".join(plain(store, backup, backup.data, Meter("reading", ignore), "it is thrown away"))


@given(length=st.integers(1, 4 * SIZE + 1), chunk=st.integers(1, 3 * SIZE))
def test_sorted_by_name_the_objects_are_the_stream(
    tmp_path_factory: pytest.TempPathFactory, length: int, chunk: int
) -> None:
    store = DirectoryStore(tmp_path_factory.mktemp("store"))
    data = (b"0123456789abcdef" * SIZE)[:length]
    record = store_stream(store, data, chunk)
    assert b"".join(b"".join(store.get(each.key)) for each in stored(store)) == data, (
        "as `cat FILE*` puts them together"
    )
    assert record.sha256 == hashlib.sha256(data).hexdigest(), "and sha256sum of that is what `backup show` shows"
    assert [each.size for each in record.stored] == [each.size for each in stored(store)]
    assert max(each.size for each in record.stored) <= SIZE
    assert sum(each.size for each in record.stored) == record.size == length
    assert (record.pieces == ()) is (length <= SIZE), "a short one is stored and recorded as it always was"
    assert read(store, committed(store, record)) == data
    assert find_backup(store, *BACKUP).data == record


def test_names_sort_in_order_and_their_number_stays_bounded() -> None:
    names = [piece_name(FILE, number) for number in range(12_000)]
    assert names == sorted(names)
    assert size_for(0, 256 << 20) == 256 << 20
    assert size_for(100 << 40, 256 << 20) * 1000 >= 100 << 40


@pytest.mark.parametrize("number", [0, 2])
def test_a_piece_that_is_missing_or_short_makes_the_backup_a_damaged_one(tmp_path: Path, number: int) -> None:
    store = DirectoryStore(tmp_path)
    committed(store, store_stream(store, bytes(3 * SIZE), 400))
    piece = stored(store)[number]
    store.put(piece.key, bytes(SIZE - 1))
    (found,) = read_catalog(store, "host1")
    assert found.state == "damaged"
    assert f"has {SIZE - 1} bytes instead of {SIZE}" in found.reason
    store.delete(piece.key)
    (found,) = read_catalog(store, "host1")
    assert found.reason.endswith("is missing")


def test_pieces_that_changed_places_are_no_backup(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    backup = committed(store, store_stream(store, b"a" * SIZE + b"b" * SIZE, 400))
    first, second = stored(store)
    contents = [b"".join(store.get(each.key)) for each in (first, second)]
    for each, content in zip((second, first), contents, strict=True):
        store.put(each.key, content)
    with pytest.raises(DamagedError, match="SHA-256 differs"):
        read(store, backup)


def test_what_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)

    def break_off() -> None:
        with Storing(store, BACKUP, FILE, SIZE) as storing:
            storing.write(bytes(3 * SIZE + 10))
            raise BackupError("the dump broke off")

    with pytest.raises(BackupError, match="broke off"):
        break_off()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_what_ends_it_while_an_object_is_committed_leaves_nothing(tmp_path: Path) -> None:
    """A time limit, say, while the store answers: the object is there, and the answer was not waited for."""

    class Slow(DirectoryStore):
        @contextmanager
        def writer(self, key: str, *, largest: int) -> Iterator[Any]:
            with super().writer(key, largest=largest) as writer:
                commit = writer.commit

                def commit_and_end() -> None:
                    commit()
                    if not key.endswith(FILE):
                        raise TimeoutError

                writer.commit = commit_and_end  # type: ignore[method-assign] # the time is up within it
                yield writer

    store = Slow(tmp_path)
    with pytest.raises(TimeoutError):
        store_stream(store, bytes(3 * SIZE), 400)
    assert stored(store) == []


@pytest.mark.parametrize("number", [0, 1])
def test_a_piece_that_is_not_what_was_sent_is_found_while_the_next_are_sent(tmp_path: Path, number: int) -> None:
    class Forgetful(DirectoryStore):
        """A disk that gives back something else than it took."""

        def get(self, key: str) -> Iterator[bytes]:
            for chunk in super().get(key):
                yield bytes(len(chunk)) if key.endswith(FILE if number == 0 else ".00002") else chunk

    with pytest.raises(BackupError, match="another SHA-256"):
        store_stream(Forgetful(tmp_path), b"x" * (3 * SIZE), 400)


def test_records_of_earlier_releases_stay_as_they_are_byte_for_byte() -> None:
    record = manifest().to_bytes()
    assert b"pieces" not in record
    assert b"data_bytes" not in record
    assert b'"format": 2' in record
    assert parse_manifest(record, "here").to_bytes() == record


def test_pieces_after_compression(tmp_path: Path) -> None:
    store, data = DirectoryStore(tmp_path), b"".join(hashlib.sha256(bytes([n])).digest() for n in range(256))
    with Storing(store, BACKUP, "database.sql.zst", SIZE) as storing:
        with packed(Packing(1), storing, Meter("dumping", ignore)) as pipeline:
            pipeline.write(data)
            whole = pipeline.finish()
        storing.commit()
        record = storing.proven(whole, ignore)
    assert len(record.pieces) > 1
    made = manifest(format=IN_PIECES, objects=(record,))
    assert read(store, made) == data
