"""The catalog counts only what has a commit record that matches, whatever else lies about."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.backup.sample_manifest import ID, manifest
from wbagent.backup.catalog import by_age, committed, find_backup, newest_backup, read_catalog
from wbagent.backup.layout import backup_id, is_backup_id, manifest_key, object_key, owner_prefix
from wbagent.backup.manifest import DefinitionRecord, FilesRecord, StoredObject, TableRecord, parse_manifest
from wbagent.bucket.directory import DirectoryStore
from wbagent.errors import BackupError, DamagedError, RestoreError

LATER = "20261125T030000Z"
DUMP = "database.sql.zst"
FILES = FilesRecord(file="files.tar.zst", members=3)
WITH_FILES = (
    *manifest().objects,
    StoredObject(file=FILES.file, size=5, sha256="2" * 64, plain_size=9, plain_sha256="3" * 64),
)


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path)


def put(store: DirectoryStore, name: str = ID, owner: str = "host1", **changes: object) -> None:
    store.put(object_key(owner, name, DUMP), b"dump")
    store.put(manifest_key(owner, name), manifest(**{"id": name, "owner": owner, **changes}).to_bytes())


def states(store: DirectoryStore) -> dict[str, str]:
    return {each.id: each.state for each in read_catalog(store, "host1")}


def test_record_of_before_gives_the_bytes_that_it_was_stored_with() -> None:
    """Its proof names their digest, and must go on to count after an upgrade of wbagent."""
    data = manifest().to_bytes()
    assert b"definitions" not in data
    assert b"auto_increment" not in data
    assert parse_manifest(data, "").to_bytes() == data
    newer = manifest(
        definitions=(DefinitionRecord(object="VIEW v", sha256="0" * 64),),
        tables=(TableRecord(name="runs", engine="InnoDB", rows=3, rows_estimate=4, auto_increment=5),),
    )
    assert parse_manifest(newer.to_bytes(), "") == newer


def test_ids_sort_by_time() -> None:
    assert backup_id(0) == "19700101T000000Z"
    assert backup_id(1_795_489_200) == ID
    assert is_backup_id(ID)
    assert not is_backup_id(f"{ID}/..")


def test_complete_backups_are_found_oldest_first(store: DirectoryStore) -> None:
    put(store, LATER)
    put(store)
    put(store, owner="host10")
    assert states(store) == {ID: "complete", LATER: "complete"}
    assert [each.id for each in committed(read_catalog(store, "host1"))] == [ID, LATER]
    assert find_backup(store, "host1", "latest").id == LATER
    assert find_backup(store, "host1", ID).id == ID


def test_what_claims_to_be_of_the_future_is_not_the_newest(store: DirectoryStore) -> None:
    ahead = "20990101T000000Z"
    for name in (ID, ahead):
        put(store, name)
    assert find_backup(store, "host1", "latest").id == ID
    assert [each.id for each in read_catalog(store, "host1")] == [ID, ahead]
    now = 1_795_489_200.0
    assert by_age([LATER, ID, ahead], now + 86400) == [LATER, ID, ahead]
    assert by_age([LATER, ID], now) == [ID, LATER]
    assert by_age([LATER, ID, ahead], 0.0) == [ahead, LATER, ID], "it is this clock that is wrong"
    assert by_age([backup_id(now + 300), ID], now) == [backup_id(now + 300), ID], "another host's clock"


def test_newest_backup_is_found_without_reading_older_records(store: DirectoryStore) -> None:
    assert newest_backup(store, "host1") is None
    put(store)
    put(store, LATER)
    store.put(object_key("host1", "20261126T030000Z", DUMP), b"half")
    read: list[str] = []

    class Watched(DirectoryStore):
        def get(self, key: str) -> Iterator[bytes]:
            read.append(key)
            return super().get(key)

    found = newest_backup(Watched(store.root), "host1")
    assert found
    assert found.id == LATER
    assert read == [manifest_key("host1", LATER)]


def test_dump_without_commit_record_is_no_backup(store: DirectoryStore) -> None:
    put(store)
    store.put(object_key("host1", LATER, DUMP), b"half")
    assert states(store) == {ID: "complete", LATER: "incomplete"}
    assert find_backup(store, "host1", "latest").id == ID
    with pytest.raises(RestoreError, match=f"holds no complete backup {LATER}"):
        find_backup(store, "host1", LATER)


def test_commit_record_without_its_dump_is_damaged(store: DirectoryStore) -> None:
    put(store)
    store.delete(object_key("host1", ID, DUMP))
    (found,) = read_catalog(store, "host1")
    assert (found.state, found.reason) == ("damaged", "database.sql.zst is missing")


def test_backup_with_files_is_complete_only_with_them(store: DirectoryStore) -> None:
    put(store, files=FILES, objects=WITH_FILES)
    assert states(store) == {ID: "damaged"}
    with pytest.raises(DamagedError, match=r"files\.tar\.zst is missing"):
        find_backup(store, "host1", ID)
    store.put(object_key("host1", ID, FILES.file), b"short")
    assert find_backup(store, "host1", ID).files == FILES
    store.put(object_key("host1", ID, FILES.file), b"too long")
    with pytest.raises(RestoreError, match=r"files\.tar\.zst has 8 bytes instead of 5"):
        find_backup(store, "host1", ID)


@pytest.mark.parametrize("text", [b"", b"{}", b"not json", b'{"format": 1}'])
def test_commit_record_that_cannot_be_read_is_damaged(store: DirectoryStore, text: bytes) -> None:
    put(store)
    store.put(manifest_key("host1", ID), text)
    assert states(store) == {ID: "damaged"}
    with pytest.raises(BackupError, match="cannot be read"):
        find_backup(store, "host1", ID)


@pytest.mark.parametrize("changes", [{"owner": "host2"}, {"id": LATER}])
def test_commit_record_of_another_backup_is_damaged(store: DirectoryStore, changes: dict[str, str]) -> None:
    put(store)
    store.put(manifest_key("host1", ID), manifest(**changes).to_bytes())
    assert states(store) == {ID: "damaged"}


def test_what_is_no_backup_is_passed_over(store: DirectoryStore) -> None:
    store.put("host1/backups/README", b"by hand")
    store.put("host1/backups/old/database.sql.zst", b"by hand")
    assert states(store) == {}


def test_nothing_there_at_all(store: DirectoryStore) -> None:
    assert read_catalog(store, "host1") == ()
    with pytest.raises(RestoreError, match="no complete backup of 'host1'"):
        find_backup(store, "host1", "latest")
    with pytest.raises(RestoreError, match="is not the id of a backup"):
        find_backup(store, "host1", "../../etc")


def test_manifest_is_read_as_it_was_written() -> None:
    record = manifest(warnings=("é",))
    assert parse_manifest(record.to_bytes(), "here") == record


def test_prefix_ends_in_a_slash() -> None:
    assert not owner_prefix("node10").startswith(owner_prefix("node1"))
