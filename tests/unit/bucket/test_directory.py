"""The directory store: whole or nothing, private, and within its directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from wbagent.bucket.directory import DirectoryStore
from wbagent.bucket.store import Entry, NotStoredError
from wbagent.errors import BucketError


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "backups")


def test_written_read_listed_deleted(store: DirectoryStore) -> None:
    with store.writer("a/b/dump", largest=10) as writer:
        writer.write(b"one")
        writer.write(b"two")
        assert list(store.entries("a/")) == [], "nobody sees it before it is whole"
        writer.commit()
    store.put("a/b/record", b"three")
    assert list(store.entries("a/b/")) == [Entry("a/b/dump", 6), Entry("a/b/record", 5)]
    assert b"".join(store.get("a/b/dump")) == b"onetwo"
    assert store.size("a/b/dump") == 6
    for key in ("a/b/record", "a/b/dump", "a/b/dump"):
        store.delete(key)
    assert list(store.entries("a/")) == []
    assert not (store.root / "a/b").exists()


def test_what_is_gone_since_it_was_listed_is_passed_over(store: DirectoryStore) -> None:
    """As a link is that leads nowhere: its name is there, and then the file is not."""
    store.put("a/here", b"one")
    (store.root / "a/gone").symlink_to("nowhere")
    assert list(store.entries("a/")) == [Entry("a/here", 3)]


def test_left_without_commit_leaves_nothing(store: DirectoryStore) -> None:
    with store.writer("a/dump", largest=10) as writer:
        writer.write(b"half")
    assert [path for path in store.root.rglob("*") if path.is_file()] == []


def test_what_a_killed_writer_left_is_cleared_below_the_prefix_only(store: DirectoryStore) -> None:
    for owner in ("node1", "node10"):
        store.put(f"{owner}/backups/x/record", b"1")
        (store.root / owner / "backups/x/dump.unfinished").write_bytes(b"half")
    assert store.clear_unfinished("node1/backups/") == 1
    assert store.clear_unfinished("node1/backups/") == 0
    assert (store.root / "node10/backups/x/dump.unfinished").exists()
    assert store.size("node1/backups/x/record") == 1
    assert store.clear_unfinished("node2/backups/") == 0


def test_missing_object(store: DirectoryStore) -> None:
    with pytest.raises(NotStoredError):
        list(store.get("nothing"))
    with pytest.raises(NotStoredError):
        store.size("nothing")


@pytest.mark.parametrize("key", ["../outside", "/etc/passwd", "a/../../b"])
def test_key_cannot_leave_the_directory(store: DirectoryStore, key: str) -> None:
    with pytest.raises(BucketError, match="not the name of a stored object"):
        store.size(key)
