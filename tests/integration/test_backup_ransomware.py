"""What is to survive a thief with the host's keys: Object Lock, versions, policies, and the command that tells."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.backup_case import Case, make_case, sample_database
from tests.testbed.ceph import Ceph, Credentials
from tests.testbed.mysql import MysqlServer
from tests.testbed.mysql_clients import ClientPrograms
from wbagent.backup.job import BackupFailedError
from wbagent.backup.layout import manifest_key
from wbagent.bucket.policy import least_policy
from wbagent.bucket.powers import probe
from wbagent.bucket.s3 import S3Store
from wbagent.bucket.store import LockedError
from wbagent.bucket.verdict import Means, judge
from wbagent.config.dsn import S3URL, MysqlURL
from wbagent.errors import BucketError

_numbers = count(1)
MEANS = Means("", encrypted=False, tls=True, same_machine=False)
KEY = "host1/backups/20260101T000000Z/manifest.json"


@pytest.fixture(scope="module")
def sample(mysql: MysqlServer) -> Iterator[MysqlURL]:
    with sample_database(mysql, "ransom", 1) as url:
        yield url


@pytest.fixture
def versioned(ceph: Ceph, bucket: S3URL) -> S3URL:
    ceph.client().put_bucket_versioning(Bucket=bucket.bucket, VersioningConfiguration={"Status": "Enabled"})
    return bucket


@pytest.fixture
def lockable(ceph: Ceph) -> S3URL:
    name = f"lockable-{next(_numbers)}"
    ceph.client().create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    return ceph.url(name, "backups")


@pytest.fixture(scope="module")
def thief(ceph: Ceph) -> Credentials:
    """A user of the store who may do nothing but what a policy allows."""
    return ceph.create_user("host1", Credentials("HOSTACCESSKEY0000001", "host/secret+key/000000000000000000000001="))


def as_user(url: S3URL, keys: Credentials) -> S3URL:
    return S3URL(keys.access_key, keys.secret_key, url.host, url.port, url.bucket, url.prefix, url.options)


def policed(ceph: Ceph, url: S3URL, keys: Credentials, *, read_back: bool, lock: bool = False) -> S3URL:
    """The bucket as the thief sees it under the least policy."""
    policy = least_policy("ceph", url, "host1", read_back=read_back, lock=lock)
    text = json.dumps(policy).replace("user/USER", "user/host1").replace("user/OWNER", "user/wandb")
    ceph.client().put_bucket_policy(Bucket=url.bucket, Policy=text)
    return as_user(url, keys)


def versions(ceph: Ceph, url: S3URL) -> list[str]:
    page = ceph.client().list_object_versions(Bucket=url.bucket)
    markers = [each["VersionId"] for each in page.get("DeleteMarkers", ())]
    return markers + [each["VersionId"] for each in page.get("Versions", ())]


def test_every_object_of_a_backup_is_locked_as_long_as_configured(
    tmp_path: Path, sample: MysqlURL, clients: ClientPrograms, ceph: Ceph, lockable: S3URL
) -> None:
    case = make_case(tmp_path, sample, clients, lockable, lock_days=2)
    case.run()
    keys = ceph.keys(lockable.bucket)
    assert len(keys) == 2
    for key in keys:
        found = ceph.client().head_object(Bucket=lockable.bucket, Key=key)
        assert found["ObjectLockMode"] == "GOVERNANCE"
        left = found["ObjectLockRetainUntilDate"] - datetime.now(UTC)
        assert timedelta(days=2) - timedelta(minutes=10) < left <= timedelta(days=2)
        with pytest.raises(LockedError) as caught:
            case.store.delete(key.removeprefix(f"{lockable.prefix}/"))
        assert caught.value.until == found["ObjectLockRetainUntilDate"]
    assert list(case.stored().values()) == ["complete"], "what is locked is not hidden either"


def test_bucket_without_the_lock_is_found_before_anything_is_dumped(
    tmp_path: Path, sample: MysqlURL, clients: ClientPrograms, ceph: Ceph, versioned: S3URL
) -> None:
    case = make_case(tmp_path, sample, clients, versioned, lock_days=2)
    with pytest.raises(BackupFailedError, match="has no Object Lock") as caught:
        case.run()
    assert "--lock" in caught.value.hint
    assert ceph.keys(versioned.bucket) == []


def test_delete_in_a_versioned_bucket_frees_the_space(ceph: Ceph, versioned: S3URL) -> None:
    store = S3Store(versioned, part_size=5 << 20)
    for data in (b"one", b"two"):
        store.put(KEY, data)
    store.put(f"{KEY}.neighbour", b"stays")
    ceph.client().delete_object(Bucket=versioned.bucket, Key=f"{versioned.prefix}/{KEY}")
    store.put(KEY, b"three")
    assert len(versions(ceph, versioned)) == 5
    store.delete(KEY)
    store.delete(KEY)
    assert len(versions(ceph, versioned)) == 1
    assert [entry.key for entry in store.entries("host1/")] == [f"{KEY}.neighbour"]


def test_lock_that_is_over_holds_nothing(ceph: Ceph, lockable: S3URL) -> None:
    place: Any = {"Bucket": lockable.bucket, "Key": f"{lockable.prefix}/{KEY}", "ObjectLockMode": "COMPLIANCE"}
    until = datetime.now(UTC) + timedelta(seconds=6)
    ceph.client().put_object(**place, Body=b"x", ObjectLockRetainUntilDate=until)
    store = S3Store(lockable, part_size=5 << 20)
    with pytest.raises(LockedError) as caught:
        store.delete(KEY)
    assert caught.value.until is not None
    assert abs(caught.value.until - until) < timedelta(seconds=2)
    while versions(ceph, lockable):
        with suppress(LockedError):
            store.delete(KEY)


@pytest.mark.parametrize("read_back", [True, False])
def test_whole_backup_with_the_least_policy_which_neither_deletes_nor_reads(
    tmp_path: Path,
    sample: MysqlURL,
    clients: ClientPrograms,
    ceph: Ceph,
    lockable: S3URL,
    thief: Credentials,
    read_back: bool,
) -> None:
    url = policed(ceph, lockable, thief, read_back=read_back, lock=True)
    case = make_case(tmp_path, sample, clients, url, read_back=read_back, lock_days=1)
    manifest = case.run().manifest
    owner = Case(
        tmp_path,
        case.settings.model_copy(update={"backup": case.settings.backup.model_copy(update={"destination": lockable})}),
    )
    assert owner.stored() == {manifest.id: "complete"}

    key = manifest_key("host1", manifest.id)
    store = S3Store(url, part_size=5 << 20)
    with pytest.raises(BucketError):
        store.delete(key)
    client = store._client
    place: Any = {"Bucket": url.bucket, "Key": f"{url.prefix}/{key}"}
    (version,) = versions(ceph, lockable)[:1]
    attempts: list[Callable[[], object]] = [
        lambda: client.delete_object(**place),
        lambda: client.delete_object(**place, VersionId=version, BypassGovernanceRetention=True),
        lambda: client.get_object(Bucket=url.bucket, Key="backups/host2/x"),
        lambda: client.put_object(Bucket=url.bucket, Key="backups/host10/x", Body=b"x"),
        lambda: client.put_bucket_policy(Bucket=url.bucket, Policy="{}"),
        *([] if read_back else [lambda: client.get_object(**place)]),
    ]
    for refused in attempts:
        with pytest.raises(ClientError, match="AccessDenied"):
            refused()
    powers = probe(url, "host1", "when_supported")
    verdict = judge(powers, Means("governance", encrypted=False, tls=True, same_machine=False))
    assert not verdict.destroy, powers
    assert verdict.read is read_back
    assert owner.stored() == {manifest.id: "complete"}


def test_verdicts_on_real_buckets(ceph: Ceph, bucket: S3URL, lockable: S3URL, thief: Credentials) -> None:
    plain = probe(bucket, "host1", "when_supported")
    assert plain.delete
    assert judge(plain, MEANS).destroy
    assert ceph.keys(bucket.bucket) == [], "the probe is removed"

    ceph.client().put_bucket_versioning(Bucket=bucket.bucket, VersioningConfiguration={"Status": "Enabled"})
    versioned = probe(bucket, "host1", "when_supported")
    assert versioned.delete_version
    assert versioned.administer
    assert judge(versioned, MEANS).destroy
    assert versions(ceph, bucket) == []

    limited = probe(policed(ceph, bucket, thief, read_back=True), "host1", "when_supported")
    assert (limited.delete, limited.delete_version, limited.administer) == (False, False, False)
    assert not judge(limited, MEANS).destroy

    owner = probe(lockable, "host1", "when_supported")
    assert owner.bypass
    assert judge(owner, Means("governance", encrypted=True, tls=True, same_machine=False)).destroy
    assert not judge(owner, Means("compliance", encrypted=True, tls=True, same_machine=False)).destroy


def test_command_tells_and_prints_the_policy(
    tmp_path: Path, sample: MysqlURL, clients: ClientPrograms, bucket: S3URL
) -> None:
    case = make_case(tmp_path, sample, clients, bucket)
    told = case.command("backup", "check-destination")
    assert told.returncode == 1
    for text in ("destroy all backups: yes", "read the past: yes", "on this very machine", "not encrypted"):
        assert text in told.stdout
    found = json.loads(case.command("backup", "check-destination", "--json").stdout)
    assert found["destroy"]
    assert found["powers"]["put"]
    policy = json.loads(case.command("backup", "check-destination", "--policy", "aws").stdout)
    assert not any("Delete" in action for each in policy["Statement"] for action in each["Action"])
