"""`wbagent bucket create` and `cors` against a real store, and MinIO's client with the lines that they print."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner, Result

from tests.testbed.ceph import Ceph, Credentials
from tests.testbed.faulty_store import FaultyStore
from wbagent.bucket.cors import NoCorsRulesError, allows
from wbagent.cli.main import cli
from wbagent.config.dsn import S3URL
from wbagent.errors import BucketError, UsageError, WbagentError

from .minio_client import minio_client

HOST = "https://wandb.example.com"
_numbers = count(1)


@pytest.fixture
def wanted(ceph: Ceph) -> S3URL:
    """A bucket that is not there."""
    return replace(ceph.url(f"wanted-{next(_numbers)}", "files"), options=(("region", "us-east-1"),))


def configured(directory: Path, url: S3URL, backups: S3URL | None = None) -> Path:
    file = directory / "wbagent.toml"
    file.touch(0o600)
    text = f'[server]\nhost = "{HOST}:443"\nimage = "wandb/local:0.83.0"\nmysql = "mysql://a:b@127.0.0.1/c"\n'
    text += f'bucket = "{url}"\n'
    file.write_text(text + (f'[backup]\ndestination = "{backups}"\nowner = "host1"\n' if backups else ""))
    return file


def bucket(file: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["--config", str(file), "bucket", *arguments])


def refused(file: Path, *arguments: str) -> WbagentError:
    error = bucket(file, *arguments).exception
    assert isinstance(error, WbagentError)
    return error


def rules(ceph: Ceph, url: S3URL) -> list[Any]:
    return list(ceph.client().get_bucket_cors(Bucket=url.bucket)["CORSRules"])


def test_made_and_left_alone_then(ceph: Ceph, wanted: S3URL, tmp_path: Path) -> None:
    file = configured(tmp_path, wanted)
    assert isinstance(refused(file, "create"), UsageError), "nobody was asked"
    with pytest.raises(ClientError, match="404"):
        ceph.client().head_bucket(Bucket=wanted.bucket)
    made = bucket(file, "create", "--yes", "--versioning")
    assert (made.exit_code, made.exception) == (0, None)
    assert wanted.secret_key not in made.output
    assert allows(rules(ceph, wanted)[0], HOST)
    assert ceph.client().get_bucket_versioning(Bucket=wanted.bucket)["Status"] == "Enabled"
    again = bucket(file, "create", "--yes", "--versioning")
    assert "nothing was to be done" in again.output
    assert "done:" not in again.output


def test_in_the_region_that_is_named(ceph: Ceph, wanted: S3URL, tmp_path: Path) -> None:
    there = replace(wanted, options=(("region", "default"),))
    assert bucket(configured(tmp_path, there), "create", "--yes").exit_code == 0
    assert ceph.client().get_bucket_location(Bucket=wanted.bucket).get("LocationConstraint", "") in ["default"]
    slip = replace(wanted, bucket=f"{wanted.bucket}-2", options=(("region", "us-east1"),))
    error = refused(configured(tmp_path, slip), "create", "--yes")
    assert "IllegalLocationConstraintException" in error.message
    assert "us-east-1, not us-east1" in error.hint


def test_the_bucket_of_another(ceph: Ceph, wanted: S3URL, tmp_path: Path) -> None:
    ceph.create_bucket(wanted.bucket)
    other = ceph.create_user(f"other-{wanted.bucket}", Credentials("OTHERSKEY00000000001", "o" * 40))
    url = replace(wanted, access_key=other.access_key, secret_key=other.secret_key)
    error = refused(configured(tmp_path, url), "create", "--yes")
    assert "it may be another's" in error.message
    assert "--print" in error.hint
    # The owner's keys make it right, those of the configuration stay.
    admin = tmp_path / "admin"
    admin.write_text(str(wanted))
    assert bucket(configured(tmp_path, url), "create", "--yes", "--admin", f"@{admin}").exit_code == 0
    assert allows(rules(ceph, wanted)[0], HOST)


def test_wrong_keys_are_told_as_that(wanted: S3URL, tmp_path: Path) -> None:
    error = refused(configured(tmp_path, replace(wanted, secret_key="wrong")), "create", "--yes")
    assert "SignatureDoesNotMatch" in error.message
    assert "secret key" in error.hint


def test_for_backups_with_object_lock(ceph: Ceph, wanted: S3URL, tmp_path: Path) -> None:
    backups = replace(wanted, bucket=f"{wanted.bucket}-backups", prefix="")
    file = configured(tmp_path, wanted, backups)
    assert isinstance(refused(file, "create", "--lock", "--yes"), UsageError), "not for the server's"
    made = bucket(file, "create", "--backup", "--lock", "--yes")
    assert made.exit_code == 0
    lock = ceph.client().get_object_lock_configuration(Bucket=backups.bucket)["ObjectLockConfiguration"]
    assert lock["ObjectLockEnabled"] == "Enabled"
    assert "s3:PutObjectRetention" in made.output
    assert 's3:DeleteObject"' not in made.output.split('"Never"')[0]
    with pytest.raises(ClientError, match="NoSuchCORSConfiguration"):
        rules(ceph, backups)
    plain = replace(backups, bucket=f"{wanted.bucket}-plain")
    ceph.create_bucket(plain.bucket)
    error = refused(configured(tmp_path, wanted, plain), "create", "--backup", "--lock", "--yes")
    assert isinstance(error, BucketError)
    assert "from its making on" in error.message


def test_cors_keeps_the_rules_of_others(ceph: Ceph, wanted: S3URL, tmp_path: Path) -> None:
    ceph.create_bucket(wanted.bucket)
    other: Any = {"ID": "portal", "AllowedMethods": ["GET"], "AllowedOrigins": ["https://portal.example.com"]}
    old = {"ID": "wbagent", "AllowedMethods": ["GET"], "AllowedOrigins": ["https://old.example.com"]}
    document: Any = {"CORSRules": [other, old]}
    ceph.client().put_bucket_cors(Bucket=wanted.bucket, CORSConfiguration=document)
    file = configured(tmp_path, wanted)
    done = bucket(file, "cors", "--yes")
    assert done.exit_code == 0
    mine, kept = rules(ceph, wanted)
    assert allows(mine, HOST)
    assert kept == other
    assert "now:    https://old.example.com; GET" in done.output
    assert "done:   https://portal.example.com; GET" in done.output
    again = bucket(file, "cors")
    assert (again.exit_code, "already" in again.output) == (0, True)


def test_a_store_without_cors_rules_of_single_buckets(ceph: Ceph, wanted: S3URL, tmp_path: Path) -> None:
    with FaultyStore((ceph.address, ceph.port)) as like_minio:
        like_minio.fail([r"\?cors"], "501")
        there = replace(wanted, host=like_minio.address, port=like_minio.port)
        file = configured(tmp_path, there, there)
        made = bucket(file, "create", "--yes")
        error = refused(file, "cors", "--yes")
        again = bucket(file, "create", "--yes")
        for_backups = bucket(file, "create", "--backup", "--yes")
    assert isinstance(error, NoCorsRulesError)
    assert (for_backups.exit_code, "cors" in for_backups.output) == (0, False), "no browser uses it"
    setting = f"mcli admin config set wandb api cors_allow_origin={HOST}"
    for each in (made, again):
        assert (each.exit_code, each.exception) == (0, None)
        assert setting in each.output
    assert setting in error.hint


@pytest.mark.parametrize(("answer", "status"), [("n", 130), ("y", 0)])
def test_on_a_terminal_it_asks(ceph: Ceph, wanted: S3URL, tmp_path: Path, answer: str, status: int) -> None:
    file = configured(tmp_path, wanted)
    keyboard, terminal = pty.openpty()
    command = [sys.executable, "-m", "wbagent.cli.main", "--config", str(file), "bucket", "create"]
    with subprocess.Popen(command, stdin=terminal, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as asking:
        os.write(keyboard, f"{answer}\n".encode())
        shown, _ = asking.communicate(timeout=30)
    os.close(keyboard)
    os.close(terminal)
    assert asking.returncode == status, shown
    assert b"Do this? [y/N]" in shown
    there = wanted.bucket in {each["Name"] for each in ceph.client().list_buckets()["Buckets"]}
    assert there == (answer == "y")


def test_the_lines_by_hand_do_the_same(ceph: Ceph, wanted: S3URL, tmp_path: Path) -> None:
    file = configured(tmp_path, wanted)
    printed = bucket(file, "create", "--print", "--versioning")
    assert wanted.secret_key not in printed.output
    lines = [line.strip() for line in printed.output.splitlines() if re.match(r"  mcli (mb|version|cors) ", line)]
    (tmp_path / "cors.xml").write_text(bucket(file, "cors", "--print").stdout)
    minio_client(ceph, tmp_path, *lines)
    left = bucket(file, "create", "--versioning")
    assert (left.exit_code, "nothing was to be done" in left.output) == (0, True)
    policies = [json.loads(bucket(file, "create", "--policy", kind).output) for kind in ("minio", "aws", "ceph")]
    assert all("s3:PutObject" in policy["Statement"][0]["Action"] for policy in policies)
