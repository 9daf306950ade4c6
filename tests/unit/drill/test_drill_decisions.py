"""Which backup is drilled, what is noted of it, and whose proof counts."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.unit.backup.sample_manifest import ID, manifest
from wbagent.backup.catalog import Stored
from wbagent.backup.layout import proof_key
from wbagent.backup.lease import LIFETIME_S, SKEW, Lease, is_held, lease, leased
from wbagent.backup.manifest import Manifest
from wbagent.backup.proof import Proof, manifest_digest, read_proof, write_proof
from wbagent.bucket.directory import DirectoryStore
from wbagent.bucket.store import NotAllowedError
from wbagent.drill import record
from wbagent.drill.choice import choose
from wbagent.errors import BucketError, DatabaseError
from wbagent.monitor import backup_facts
from wbagent.state import State

NOW = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)


def proof(backup: Manifest, **changes: Any) -> Proof:
    values: dict[str, Any] = {
        "id": backup.id,
        "owner": backup.owner,
        "ok": True,
        "manifest_sha256": manifest_digest(backup),
        "host": "host1",
        "server": "mysqld  Ver 9.7.4",
        "started_at": NOW,
        "finished_at": NOW,
        "duration_s": 1.0,
    }
    return Proof(**(values | changes))


def stored(name: str, state: Any = "complete") -> Stored:
    return Stored(name, state, 4, None if state == "incomplete" else manifest(id=name))


@pytest.mark.parametrize(
    ("catalog", "proven", "chosen"),
    [
        ((), set(), None),
        ((stored("20261124T030000Z"),), set(), "20261124T030000Z"),
        ((stored("20261124T030000Z"),), {"20261124T030000Z"}, None),
        ((stored("20261123T030000Z"), stored("20261124T030000Z")), {"20261123T030000Z"}, "20261124T030000Z"),
        # An older one would hide that the newest is bad.
        ((stored("20261123T030000Z"), stored("20261124T030000Z", "damaged")), set(), "20261124T030000Z"),
        # One that is being made, or was never finished, is none.
        ((stored("20261123T030000Z"), stored("20261124T030000Z", "incomplete")), set(), "20261123T030000Z"),
        ((stored("20261123T030000Z"), stored("20261124T030000Z")), {"20261124T030000Z"}, None),
    ],
)
def test_choice(catalog: tuple[Stored, ...], proven: set[str], chosen: str | None) -> None:
    found = choose(reversed(catalog), lambda backup: backup.id in proven)
    assert (found.id if found else None) == chosen


def test_proof_counts_for_the_record_that_it_judged(tmp_path: Path) -> None:
    store, backup = DirectoryStore(tmp_path), manifest()
    assert read_proof(store, backup) is None
    write_proof(store, proof(backup))
    assert read_proof(store, backup) == proof(backup)
    assert read_proof(store, manifest(duration_s=61.0)) is None, "another record in its place"
    store.put(proof_key(backup.owner, backup.id), b"{}")
    assert read_proof(store, backup) is None


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path / "state.db")


def test_newest_proven_backup_stays_the_newest(state: State) -> None:
    newest = manifest()
    older = manifest(id="20261120T030000Z", finished_at=newest.finished_at - timedelta(days=4))
    for backup in (newest, older):
        record.put_proof(state, backup, proof(backup), NOW.timestamp())
    last, proven = state.get(backup_facts.DRILL), state.get(backup_facts.PROVEN)
    assert last
    assert proven
    assert (last.value["id"], proven.value["id"]) == (older.id, newest.id)
    state.connection.close()


def test_one_of_the_future_does_not_stay_the_newest_proven(state: State) -> None:
    ahead = manifest(id="20990101T000000Z", finished_at=datetime(2099, 1, 1, tzinfo=UTC))
    backup = manifest()
    for each in (ahead, backup):
        record.put_proof(state, each, proof(each), NOW.timestamp())
    assert backup_facts.BackupFacts.read(state).proven["id"] == backup.id
    state.connection.close()


def test_bad_proof_takes_nothing_away(state: State) -> None:
    backup = manifest()
    record.put_proof(state, backup, proof(backup, ok=False, reason="table runs has 2 rows instead of 3"), 1.0)
    assert state.get(backup_facts.PROVEN) is None
    assert record.last_result(state) == "disproven"
    record.put_not_done(state, "not done", DatabaseError("away", hint="mend it"), 2.0)
    assert record.last_result(state) == "not done"
    state.connection.close()


def test_a_wish_is_taken_once(state: State) -> None:
    assert record.take_wanted(state, 1.0) == ""
    state.put(record.WANTED, ID, 1.0)
    assert (record.take_wanted(state, 2.0), record.take_wanted(state, 3.0)) == (ID, "")
    state.connection.close()


# --- leases ---


def test_lease_counts_until_some_time_after_its_end() -> None:
    held = Lease(backup=ID, holder="host1", purpose="restore", expires_at=NOW)
    assert is_held(held, NOW - timedelta(days=1))
    assert is_held(held, NOW + SKEW - timedelta(seconds=1))
    assert not is_held(held, NOW + SKEW)


def test_lease_is_there_while_it_is_held(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    assert leased(store, "host1", NOW) == frozenset()
    with lease(store, "host1", ID, "restore", NOW.timestamp):
        assert leased(store, "host1", NOW) == {ID}
        assert leased(store, "host10", NOW) == frozenset()
        dead = NOW + timedelta(seconds=LIFETIME_S) + SKEW
        assert leased(store, "host1", dead) == frozenset()
    assert leased(store, "host1", NOW) == frozenset()


def test_lease_that_nobody_understands_counts(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    store.put(f"host1/leases/{ID}-abcd", b"written by a newer release")
    store.put("host1/leases/letter", b"not one of ours")
    assert leased(store, "host1", NOW) == {ID}


def test_a_store_that_fails_once_gets_the_lease_all_the_same(tmp_path: Path) -> None:
    written = threading.Event()

    class Restarting(DirectoryStore):
        asked = 0

        def put(self, key: str, data: bytes) -> None:
            self.asked += 1
            if self.asked == 1:
                raise BucketError("503 SlowDown")
            super().put(key, data)
            written.set()

    store = Restarting(tmp_path)
    with lease(store, "host1", ID, "restore", NOW.timestamp):
        assert leased(store, "host1", NOW) == frozenset()
        assert written.wait(60)
        assert leased(store, "host1", NOW) == {ID}
    assert leased(store, "host1", NOW) == frozenset()


def test_a_key_that_only_reads_can_still_restore(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class ReadOnly(DirectoryStore):
        def put(self, key: str, data: bytes) -> None:
            raise NotAllowedError("the key may not write")

    with lease(ReadOnly(tmp_path), "host1", ID, "restore"):
        pass
    assert "retention on other hosts does not know" in capsys.readouterr().err
