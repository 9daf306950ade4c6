"""Prunes of a real bucket with many owners: the right ones stay, whatever goes wrong at whichever request."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from tests.testbed.s3_faults import Fault, S3Faults
from tests.unit.backup.sample_manifest import manifest
from wbagent.backup.catalog import read_catalog
from wbagent.backup.layout import backup_id, manifest_key, object_key, proof_key
from wbagent.backup.lease import lease
from wbagent.backup.manifest import Manifest
from wbagent.backup.proof import Proof, manifest_digest
from wbagent.backup.pruning import prune
from wbagent.backup.retention import Policy, decide
from wbagent.backup.standing import weighed
from wbagent.backup.thinning import thin_out
from wbagent.bucket.open import open_store
from wbagent.bucket.store import Store
from wbagent.config.dsn import S3URL
from wbagent.config.model import BackupSettings
from wbagent.errors import BucketError
from wbagent.state import State

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)
DUMP = "database.sql.zst"


def name_of(age: timedelta) -> str:
    return backup_id((NOW - age).timestamp())


def put_backup(store: Store, owner: str, age: timedelta, proof: bool | None = None) -> str:
    """A backup as a run and, when `proof` is told, a drill leave it; only its data is not of a database."""
    name = name_of(age)
    record = manifest(id=name, owner=owner, started_at=NOW - age, finished_at=NOW - age)
    store.put(object_key(owner, name, DUMP), b"dump")
    if proof is not None:
        store.put(proof_key(owner, name), a_proof(record, ok=proof).to_bytes())
    store.put(manifest_key(owner, name), record.to_bytes())
    return name


def a_proof(record: Manifest, *, ok: bool) -> Proof:
    return Proof(
        id=record.id,
        owner=record.owner,
        ok=ok,
        manifest_sha256=manifest_digest(record),
        host="host1",
        server="9.7.4",
        started_at=record.finished_at,
        finished_at=record.finished_at,
        duration_s=1.0,
    )


def a_store(url: S3URL, tmp_path: Path, owner: str = "host1") -> tuple[BackupSettings, Store]:
    backup = BackupSettings(destination=url, owner=owner, part_size=5 * 1024**2)
    return backup, open_store(backup, tmp_path)


def complete(store: Store, owner: str) -> set[str]:
    return {each.id for each in read_catalog(store, owner) if each.state == "complete"}


def days(*numbers: int) -> set[str]:
    return {name_of(number * DAY) for number in numbers}


def in_parallel(calls: Iterable[Callable[[], object]]) -> None:
    with ThreadPoolExecutor(16) as pool:
        for done in [pool.submit(call) for call in calls]:
            done.result()


def test_two_hundred_backups_of_three_owners(tmp_path: Path, bucket: S3URL) -> None:
    """node1 and node10 begin alike; of node1 every tenth drill failed, and drills count."""
    _, store = a_store(bucket, tmp_path)
    counts = {"node1": 80, "node10": 70, "host-a": 50}
    in_parallel(
        partial(put_backup, store, owner, day * DAY, proof=day % 10 != 0 if owner == "node1" else None)
        for owner, count in counts.items()
        for day in range(count)
    )
    others = [entry for owner in ("node10", "host-a") for entry in store.entries(f"{owner}/")]
    assert len(others) == 2 * (70 + 50)
    known = [found for each in read_catalog(store, "node1") if (found := weighed(store, "node1", each))]
    assert len(known) == 80
    thinned = thin_out(store, "node1", decide(known, Policy(7, 3, keep_weekly=5), NOW), NOW)

    weeks: dict[tuple[int, int], int] = {}
    for day in range(80):
        if day % 10:
            weeks.setdefault((NOW - day * DAY).isocalendar()[:2], day)
    stay = days(*range(7), *list(weeks.values())[:5])
    assert complete(store, "node1") == stay
    assert set(thinned.removed) == days(*range(80)) - stay
    assert [entry for owner in ("node10", "host-a") for entry in store.entries(f"{owner}/")] == others


def test_what_is_read_on_another_host_stays(tmp_path: Path, bucket: S3URL) -> None:
    backup, store = a_store(bucket, tmp_path)
    for day in (0, 1, 2, 30, 40):
        put_backup(store, "host1", day * DAY, proof=True)
    with State(tmp_path / "state.db") as state:
        with lease(store, "host1", name_of(40 * DAY), "a restore"):
            assert prune(backup, state, tmp_path, NOW.timestamp).removed == (name_of(30 * DAY),)
        assert prune(backup, state, tmp_path, NOW.timestamp).removed == (name_of(40 * DAY),)


# What a prune of the bucket below asks for, in this order; a fault at each of them.
STAGES: dict[str, Callable[[str], bool]] = {
    "list": lambda request: request.startswith("GET") and "prefix=" in request and request.count("/backups/") == 2,
    "read a record": lambda request: request.startswith("GET") and request.endswith("/manifest.json"),
    "read a proof": lambda request: request.startswith("GET") and request.endswith("/proof.json"),
    "list leases": lambda request: request.startswith("GET") and "/leases/" in request,
    "look for a record": lambda request: request.startswith("HEAD") and request.endswith("/manifest.json"),
    "list one": lambda request: request.startswith("GET") and f"{name_of(30 * DAY)}/" in request and "list" in request,
    "remove a record": lambda request: request.startswith("DELETE") and request.endswith("/manifest.json"),
    "remove data": lambda request: request.startswith("DELETE") and request.endswith(DUMP),
    "remove a proof": lambda request: request.startswith("DELETE") and request.endswith("/proof.json"),
}
REMOVALS = [stage for stage in STAGES if stage.startswith("remove")]
STAY, GO = days(0, 1, 2), days(30, 40)


@dataclass
class Bucket:
    """Three backups that stay, two that go, and the remains of a dead run, behind a proxy."""

    faults: S3Faults
    directory: Path

    def fill(self) -> None:
        _, store = a_store(self.faults.url, self.directory)
        for day in (0, 1, 2, 30, 40):
            put_backup(store, "host1", day * DAY, proof=True)
        store.put(object_key("host1", name_of(35 * DAY), DUMP), b"half")

    def prune(self) -> None:
        backup, _ = a_store(self.faults.url, self.directory)
        with State(self.directory / "state.db") as state:
            prune(backup, state, self.directory, NOW.timestamp)

    def start_command(self) -> subprocess.Popen[bytes]:
        """`wbagent backup prune` in a process of its own."""
        path = self.directory / "wbagent.toml"
        path.touch(mode=0o600)
        path.write_text(f'[backup]\nowner = "host1"\ndestination = {json.dumps(str(self.faults.url))}\n')
        return subprocess.Popen(
            [sys.executable, "-m", "wbagent.cli.main", "--config", path, "backup", "prune"],
            env={**os.environ, "WBAGENT_STATE_DIRECTORY": str(self.directory)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def assert_old_or_new(self) -> None:
        """Nothing that stays is touched; what goes is there, or is no backup any more. The next prune completes it."""
        self.faults.fault = None
        _, store = a_store(self.faults.url, self.directory)
        assert STAY <= complete(store, "host1") <= STAY | GO
        assert "damaged" not in {each.state for each in read_catalog(store, "host1")}
        self.prune()
        assert {each.id: each.state for each in read_catalog(store, "host1")} == dict.fromkeys(STAY, "complete")
        assert {entry.key.split("/")[2] for entry in store.entries("")} == STAY


def at_stages(
    bucket: S3URL, tmp_path: Path, stages: Iterable[str], act: Callable[[Bucket, Callable[[str], bool]], None]
) -> list[Callable[[], None]]:
    """One call for each stage, for `in_parallel`: a client that is refused waits long before it gives up."""

    def one(stage: str) -> None:
        directory = tmp_path / stage.replace(" ", "-")
        directory.mkdir(parents=True)
        prefix = directory.relative_to(tmp_path.parent).as_posix()
        with S3Faults(replace(bucket, prefix=f"{prefix}/{bucket.prefix}")) as faults:
            case = Bucket(faults, directory)
            case.fill()
            act(case, STAGES[stage])
            assert any(STAGES[stage](request) for request in faults.requests), f"no request was: {stage}"
            case.assert_old_or_new()

    return [partial(one, stage) for stage in stages]


FAULTS: list[tuple[dict[str, Any], Iterable[str]]] = [
    ({"status": 403}, STAGES),
    ({"status": 503}, ("list", "remove a record", "remove data")),
    ({"cut": True}, STAGES),
    ({"cut": True, "after": True}, REMOVALS),
    ({"delay": 0.2}, STAGES),
]


def test_fault_at_every_request(tmp_path: Path, bucket: S3URL) -> None:
    def act(fault: dict[str, Any], case: Bucket, stage: Callable[[str], bool]) -> None:
        case.faults.fault = Fault(stage, **fault)
        # A prune that may not remove says so and does not fail; one that may not look fails.
        with suppress(BucketError) if "delay" not in fault else nullcontext():
            case.prune()

    calls = [at_stages(bucket, tmp_path / str(n), stages, partial(act, f)) for n, (f, stages) in enumerate(FAULTS)]
    in_parallel(chain.from_iterable(calls))


def test_killed_at_every_request(tmp_path: Path, bucket: S3URL) -> None:
    def act(after: bool, case: Bucket, stage: Callable[[str], bool]) -> None:
        process: list[subprocess.Popen[bytes]] = []

        def kill() -> None:
            process[0].kill()

        case.faults.fault = Fault(stage, cut=True, after=after, seen=kill)
        with case.start_command() as started:
            process.append(started)
            assert started.wait(120) == -signal.SIGKILL

    before = at_stages(bucket, tmp_path / "before", set(STAGES) - {"read a proof", "list one"}, partial(act, False))
    in_parallel(before + at_stages(bucket, tmp_path / "after", REMOVALS, partial(act, True)))
