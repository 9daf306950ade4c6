"""The store fails at each stage of a backup, in passing or for good: the run ends in the new state or the old one."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.integration.backup_case import Case, make_case, sample_database
from tests.testbed.ceph import Ceph
from tests.testbed.faulty_store import Fault, FaultyStore
from tests.testbed.mysql import MysqlServer
from tests.testbed.mysql_clients import ClientPrograms
from wbagent.backup.job import BackupFailedError
from wbagent.bucket.s3 import S3Store
from wbagent.config.dsn import S3URL, MysqlURL

STAGES = {
    "begin": r"^POST \S+\?uploads",
    "part": r"^PUT \S+partNumber=",
    "complete": r"^POST \S+\?uploadId=",
    "size": r"^HEAD ",
    "read back": r"^GET \S+database\.sql\.zst$",
    "commit": r"^PUT \S+manifest\.json$",
    "list": r"^GET \S+list-type=2",
}


@pytest.fixture(scope="module")
def sample(mysql: MysqlServer) -> Iterator[MysqlURL]:
    with sample_database(mysql, "fault", 1) as url:
        yield url


@pytest.fixture(scope="module")
def store(ceph: Ceph) -> Iterator[FaultyStore]:
    with FaultyStore((ceph.address, ceph.port)) as proxy:
        yield proxy


@pytest.fixture
def case(tmp_path: Path, sample: MysqlURL, clients: ClientPrograms, bucket: S3URL, store: FaultyStore) -> Case:
    store.pass_on()
    url = S3URL(bucket.access_key, bucket.secret_key, store.address, store.port, bucket.bucket, "", bucket.options)
    return make_case(tmp_path, sample, clients, url, timeout="1s", retry_for="20s")


def impatient(case: Case) -> Case:
    settings = case.settings
    backup = settings.backup.model_copy(update={"retry_for": 0.5, "timeout": 0.5})
    return Case(case.directory, settings.model_copy(update={"backup": backup}))


# The store has twenty times as long to put the parts together: nothing to wait for in a test.
STALLING = {stage: pattern for stage, pattern in STAGES.items() if stage != "complete"}
LASTING = [
    *((stage, "403") for stage in STAGES),
    *((stage, "cut") for stage in ("part", "complete", "read back", "commit")),
    *((stage, "stall") for stage in ("part", "read back")),
    ("part", "503"),
]


@pytest.mark.parametrize("fault", ["503", "cut", "stall", "lost answer"])
def test_what_fails_once_at_every_stage_only_delays_the_backup(case: Case, store: FaultyStore, fault: Fault) -> None:
    patterns = (STALLING if fault == "stall" else STAGES).values()
    store.fail(patterns, fault, times=1)
    case.run()
    assert store.met == set(patterns)
    assert list(case.stored().values()) == ["complete"]


@pytest.mark.parametrize(("stage", "fault"), LASTING)
def test_what_lasts_leaves_what_there_was(
    case: Case, ceph: Ceph, bucket: S3URL, store: FaultyStore, stage: str, fault: Fault
) -> None:
    store.fail([STAGES[stage]], fault)
    with pytest.raises(BackupFailedError) as caught:
        impatient(case).run()
    assert store.met
    assert caught.value.hint
    assert not any("manifest" in key for key in ceph.keys(bucket.bucket))
    assert ceph.unfinished_uploads(bucket.bucket) == []


def test_full_bucket_is_told_and_keeps_what_it_has(
    tmp_path: Path, ceph: Ceph, sample: MysqlURL, clients: ClientPrograms, bucket: S3URL
) -> None:
    case = make_case(tmp_path, sample, clients, bucket, timeout="5s", retry_for="20s")
    before = case.run().manifest.id
    for arguments in (("quota", "set", "--max-size=1K"), ("quota", "enable")):
        ceph.administer(*arguments, "--quota-scope=bucket", f"--bucket={bucket.bucket}")
    began = time.monotonic()
    with pytest.raises(BackupFailedError, match="QuotaExceeded") as caught:
        case.run()
    assert time.monotonic() - began < 15, "a refusal is final"
    assert "raise the bucket's quota" in caught.value.hint
    assert case.stored() == {before: "complete"}
    assert ceph.unfinished_uploads(bucket.bucket) == []


def test_signal_ends_a_run_whose_store_says_nothing(case: Case, store: FaultyStore) -> None:
    """The exception of the handler comes up in the midst of a request, where botocore sees a broken connection."""
    store.fail([STAGES["complete"]], "stall")

    def end() -> None:
        store.wait_until_met(STAGES["complete"])
        os.kill(os.getpid(), signal.SIGTERM)

    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(end)
        with pytest.raises(BackupFailedError, match="SIGTERM"):
            case.run()
        ended.result()


def test_bandwidth_holds_for_all_parts_together_and_for_reading_back(bucket: S3URL) -> None:
    rate, size = 8 << 20, 11 << 20
    store = S3Store(bucket, part_size=5 << 20, bandwidth=rate)
    data = os.urandom(size)
    began = time.monotonic()
    with store.writer("host1/data", largest=size) as writer:
        writer.write(data)
        writer.commit()
    sent = time.monotonic()
    assert b"".join(store.get("host1/data")) == data
    # A quarter of a second's worth may pass at once, and the last piece is not waited for.
    least = size / rate - 0.25 - 1 / 8
    assert sent - began >= least
    assert time.monotonic() - sent >= least
