"""Faults of the place that backups go to: cut uploads, a full disk, what dead runs left, data that changes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.backup_case import Once, make_case, over_store, sample_database
from tests.testbed.ceph import Ceph
from tests.testbed.memory_disk import memory_disk
from tests.testbed.mysql import MysqlServer
from tests.testbed.mysql_clients import ClientPrograms
from tests.testbed.proxy import Proxy
from tests.testbed.s3_faults import Fault, S3Faults
from wbagent.backup.job import BackupFailedError
from wbagent.config.dsn import S3URL, MysqlURL


@pytest.fixture(scope="module")
def sample(mysql: MysqlServer) -> Iterator[MysqlURL]:
    with sample_database(mysql, "store", 24) as url:
        yield url


@pytest.fixture
def link(ceph: Ceph) -> Iterator[Proxy]:
    """What stands between the host and the store."""
    with Proxy((ceph.address, ceph.port)) as proxy:
        yield proxy


def test_upload_cut_half_way_leaves_no_backup_and_the_next_run_clears_up(
    tmp_path: Path, sample: MysqlURL, clients: ClientPrograms, ceph: Ceph, bucket: S3URL, link: Proxy
) -> None:
    case = make_case(tmp_path, sample, clients, over_store(link, bucket), timeout="5s", retry_for="1s")
    # One part is stored and the second one is under way when the link goes down, and it stays down.
    link.cut_after(8_000_000)
    with pytest.raises(BackupFailedError) as caught:
        case.run()
    assert "check the network" in caught.value.hint
    assert ceph.keys(bucket.bucket) == []
    assert len(ceph.unfinished_uploads(bucket.bucket)) == 1, "nobody could tell the store to forget it"

    link.pass_on()
    case.run()
    assert ceph.unfinished_uploads(bucket.bucket) == []
    assert list(case.stored().values()) == ["complete"]


@pytest.mark.parametrize("stage", ["dumping", "reading back"])
def test_short_cut_of_the_link_is_survived(
    tmp_path: Path, sample: MysqlURL, clients: ClientPrograms, bucket: S3URL, link: Proxy, stage: str
) -> None:
    case = make_case(tmp_path, sample, clients, over_store(link, bucket))
    link.limit_after(0, 8e6)
    cut = Once(stage, link.cut)
    case.run(cut)
    assert cut.done
    assert list(case.stored().values()) == ["complete"]


def test_unfinished_uploads_of_this_owners_backups_only_are_cleared(
    tmp_path: Path, sample: MysqlURL, clients: ClientPrograms, ceph: Ceph, bucket: S3URL
) -> None:
    client = ceph.client()
    # The third is what ships the binary log of this very host at the same time.
    for place in ("node1/backups/20200101T000000Z", "node10/backups/20200101T000000Z", "node1/binlogs"):
        client.create_multipart_upload(Bucket=bucket.bucket, Key=f"{bucket.prefix}/{place}/something")
    make_case(tmp_path, sample, clients, bucket, owner="node1").run()
    left = [key.removeprefix(f"{bucket.prefix}/") for key in ceph.unfinished_uploads(bucket.bucket)]
    assert left == ["node1/binlogs/something", "node10/backups/20200101T000000Z/something"]


def test_unfinished_upload_that_is_gone_already(
    tmp_path: Path, sample: MysqlURL, clients: ClientPrograms, ceph: Ceph, bucket: S3URL
) -> None:
    """Somebody else let go of it after it was listed; some stores list such ones for ever."""
    client = ceph.client()
    place: Any = {"Bucket": bucket.bucket, "Key": f"{bucket.prefix}/host1/backups/20200101T000000Z/something"}
    begun = client.create_multipart_upload(**place)["UploadId"]
    with S3Faults(bucket) as between:
        between.fault = Fault(
            lambda request: request.startswith("DELETE") and "something" in request,
            seen=lambda: client.abort_multipart_upload(**place, UploadId=begun),
        )
        make_case(tmp_path, sample, clients, between.url).run()
    with pytest.raises(ClientError, match="NoSuchUpload"):
        client.abort_multipart_upload(**place, UploadId=begun)


@pytest.mark.parametrize("what", ["backups", "."])
def test_full_disk_leaves_what_there_was(tmp_path: Path, sample: MysqlURL, clients: ClientPrograms, what: str) -> None:
    """The disk of the backups alone, and one that holds the state file too."""
    case = make_case(tmp_path, sample, clients)
    with memory_disk(case.state_directory / what, "16m") as disk:
        first = case.run().manifest.id
        with pytest.raises(BackupFailedError, match="No space left on device") as caught:
            case.run()
        assert "[backup] destination" in caught.value.hint
        assert case.stored() == {first: "complete"}
        assert list(disk.rglob("*unfinished*")) == []


def test_local_directory_says_that_it_is_not_off_site(
    tmp_path: Path, sample: MysqlURL, clients: ClientPrograms
) -> None:
    case = make_case(tmp_path, sample, clients)
    os.chown(case.state_directory, 12345, 12346)
    outcome = case.run()
    assert not outcome.off_site
    dump = case.state_directory / f"backups/host1/backups/{outcome.manifest.id}/database.sql.zst"
    assert oct(dump.stat().st_mode)[-3:] == "600", "members of the group read that there is a backup, not what is in it"
    assert oct(dump.with_name("manifest.json").stat().st_mode)[-3:] == "640"
    made = [path.stat() for path in (case.state_directory / "backups").rglob("*")]
    assert {(stat.st_uid, stat.st_gid) for stat in made} == {(12345, 12346)}, "root made it for the owner of the state"
    assert "NOT OFF-SITE" in case.command("backup", "list").stdout


def test_object_that_changes_before_it_is_read_back_is_no_backup(
    tmp_path: Path, sample: MysqlURL, clients: ClientPrograms
) -> None:
    case = make_case(tmp_path, sample, clients)

    def flip() -> None:
        (path,) = (case.state_directory / "backups").rglob("database.sql.zst")
        with path.open("r+b") as file:
            file.seek(100_000)
            byte = file.read(1)
            file.seek(100_000)
            file.write(bytes([byte[0] ^ 1]))

    with pytest.raises(BackupFailedError, match="another SHA-256"):
        case.run(Once("reading back", flip, from_start=True))
    assert list(case.stored().values()) == ["incomplete"]
    assert "none; make one" in case.command("backup", "list").stdout
    assert "INCOMPLETE" in case.command("backup", "list", "--all").stdout
