"""Carrying out a prune where the store says no: what is locked, what a stale listing hides, what somebody reads."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.unit.backup.sample_manifest import manifest
from wbagent.backup.catalog import read_catalog
from wbagent.backup.layout import backup_id, manifest_key, object_key
from wbagent.backup.lease import lease
from wbagent.backup.retention import Backup, Policy, Standing, decide
from wbagent.backup.standing import weighed
from wbagent.backup.thinning import Thinned, thin_out
from wbagent.bucket.directory import DirectoryStore
from wbagent.bucket.store import Entry, LockedError, NotAllowedError

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
POLICY = Policy(7, 1, unproven_because="drills are switched off")
UNTIL = datetime(2026, 12, 24, tzinfo=UTC)


def name_of(days: int) -> str:
    return backup_id((NOW - timedelta(days=days)).timestamp())


def put(store: DirectoryStore, *days: int) -> None:
    for day in days:
        at = NOW - timedelta(days=day)
        record = manifest(id=name_of(day), started_at=at, finished_at=at)
        store.put(object_key("host1", record.id, "database.sql.zst"), b"dump")
        store.put(manifest_key("host1", record.id), record.to_bytes())


def pruned(store: DirectoryStore) -> Thinned:
    known = [found for each in read_catalog(store, "host1") if (found := weighed(store, "host1", each))]
    return thin_out(store, "host1", decide(known, POLICY, NOW), NOW)


class LockingStore(DirectoryStore):
    """A directory that keeps some backups from everybody, as Object Lock does, or all of them from this key."""

    def __init__(self, root: Path, locked: str, *, write_only: bool = False) -> None:
        super().__init__(root)
        self._locked = locked
        self._write_only = write_only

    def delete(self, key: str) -> None:
        if self._write_only:
            raise NotAllowedError(f"{key} may not be removed")
        if self._locked in key:
            raise LockedError(f"{key} is locked until {UNTIL:%Y-%m-%d}", until=UNTIL)
        super().delete(key)


def test_what_is_locked_is_told_with_its_time_and_holds_up_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    store = LockingStore(tmp_path, name_of(30))
    put(store, 0, 20, 30, 40)
    thinned = pruned(store)
    assert thinned.removed == (name_of(40), name_of(20))
    assert (thinned.due, thinned.refusal) == ((), "")
    assert [each.partition(":")[0] for each in thinned.locked] == [name_of(30)]
    assert "is locked until 2026-12-24" in thinned.locked[0]
    assert "1 old backups stay for now" in capfd.readouterr().err
    assert [each.state for each in read_catalog(store, "host1")] == ["complete", "complete"]


def test_a_key_that_may_only_write_is_told_once(tmp_path: Path) -> None:
    store = LockingStore(tmp_path, "", write_only=True)
    put(store, 0, 30, 40)
    thinned = pruned(store)
    assert (thinned.removed, thinned.due) == ((), (name_of(40), name_of(30)))
    assert "may not be removed" in thinned.refusal


class StaleStore(DirectoryStore):
    """A directory whose listing does not show commit records yet."""

    def entries(self, prefix: str) -> Iterator[Entry]:
        return (entry for entry in super().entries(prefix) if not entry.key.endswith("manifest.json"))


def test_a_listing_that_is_stale_makes_no_backup_look_dead(tmp_path: Path) -> None:
    store = StaleStore(tmp_path)
    put(store, 0, 30)
    newer = Backup(name_of(0), Standing.COMMITTED, NOW)
    old = Backup(name_of(30), Standing.INCOMPLETE, NOW - timedelta(days=30))
    verdicts = decide([old, newer], POLICY, NOW)
    assert [each.keep for each in verdicts] == [False, True]
    assert thin_out(store, "host1", verdicts, NOW).removed == ()
    assert store.size(manifest_key("host1", name_of(30)))


def test_who_begins_to_read_after_the_decision_is_heeded(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    put(store, 0, 30)
    known = [found for each in read_catalog(store, "host1") if (found := weighed(store, "host1", each))]
    verdicts = decide(known, POLICY, NOW)
    with lease(store, "host1", name_of(30), "a restore", NOW.timestamp):
        assert thin_out(store, "host1", verdicts, NOW).removed == ()
    assert thin_out(store, "host1", verdicts, NOW).removed == (name_of(30),)


def test_what_an_interrupted_prune_left_is_removed_by_the_next(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    put(store, 0, 30)
    store.put(object_key("host1", name_of(30), "of-a-later-release.bin"), b"x")
    store.delete(manifest_key("host1", name_of(30)))
    assert pruned(store).removed == (name_of(30),)
    assert {entry.key.split("/")[2] for entry in store.entries("host1/")} == {name_of(0)}
