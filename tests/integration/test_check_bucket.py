"""`wbagent check bucket` against a real store: all well, and each thing wrong by itself, found for the right reason."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.testbed.ceph import Ceph, Credentials
from tests.testbed.faulty_store import FaultyStore
from wbagent.bucket.cors import wanted_rule, write
from wbagent.bucket.policy import least_server_policy
from wbagent.checks.bucket import of_store
from wbagent.checks.bucket.store import Store
from wbagent.checks.check import Finding, Subject
from wbagent.checks.run import run
from wbagent.checks.scratch import Scratch
from wbagent.config import Settings
from wbagent.config.dsn import S3URL

from .minio_client import minio_client

HOST = "https://wandb.example.com"
BOTH = f"CORS: GET and PUT from {HOST}"
_numbers = count(1)
# Of a bucket in a store on loopback without TLS these two are to be expected.
EXPECTED = {"endpoint": "warn", "users' address": "fail"}


@pytest.fixture
def url(ceph: Ceph, bucket: S3URL) -> S3URL:
    """A bucket that lets pages of HOST in."""
    write(ceph.client(), bucket, [wanted_rule(HOST)])
    return replace(bucket, prefix="files")


def found(url: S3URL, **more: Any) -> dict[str, Finding]:
    """What the checks find, by their name and what the finding is about; nothing is left behind."""
    looking = Subject(Settings(), Scratch())
    results = run({"bucket": of_store(Store(url, HOST, **more))}, looking)
    assert looking.scratch.left == []
    return {": ".join(part for part in (each.check, each.finding.about) if part): each.finding for each in results}


def not_well(findings: Mapping[str, Finding]) -> dict[str, str]:
    """Those that warn or fail, but for the two of this test's store."""
    bad = {name: finding.verdict.value for name, finding in findings.items() if finding.verdict.rank > 1}
    return {name: verdict for name, verdict in bad.items() if EXPECTED.get(name) != verdict}


def through(store: FaultyStore, url: S3URL, *, tls: bool = False) -> S3URL:
    """The same bucket by way of the proxy."""
    options = (("region", "us-east-1"), ("tls", str(tls).lower()))
    return replace(url, host=store.address, port=store.port, options=options)


def allow(ceph: Ceph, url: S3URL, policy: Any) -> S3URL:
    """The bucket as a user of the store sees it who has this policy (USER), and nothing else."""
    number = next(_numbers)
    user = f"checked-{number}"
    keys = ceph.create_user(user, Credentials(f"CHECKEDKEY{number:010}", "c" * 40))
    text = json.dumps(policy).replace("user/USER", f"user/{user}").replace("user/OWNER", "user/wandb")
    ceph.client().put_bucket_policy(Bucket=url.bucket, Policy=text)
    return replace(url, access_key=keys.access_key, secret_key=keys.secret_key)


def everything(bucket: str, actions: Iterable[str], who: Any) -> dict[str, Any]:
    resources = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    statement = {"Effect": "Allow", "Principal": who, "Action": list(actions), "Resource": resources}
    return {"Version": "2012-10-17", "Statement": [statement]}


def test_a_good_bucket_by_tls(ceph: Ceph, url: S3URL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = made_certificate(tmp_path)
    for variable in ("SSL_CERT_FILE", "AWS_CA_BUNDLE"):
        monkeypatch.setenv(variable, str(certificate))
    with FaultyStore((ceph.address, ceph.port), certificate=certificate) as front:
        findings = found(through(front, url, tls=True))
    assert not_well(findings) == {}
    assert {name for name, finding in findings.items() if finding.verdict == "pass"} == {
        "endpoint",
        "clock",
        "keys",
        "region",
        "Object Lock",
        "signed URL: PUT",
        "signed URL: PUT with Content-MD5",
        "signed URL: HEAD",
        "signed URL: GET",
        "signed URL: key with a space",
        "refusal: an expired URL",
        "refusal: a URL with another signature",
        "refusal: no signature",
        f"CORS: GET from {HOST}",
        f"CORS: PUT from {HOST}",
        "CORS: answer to a page",
        "multipart",
        "multipart: abort",
        "delete",
        "lifecycle",
    }
    assert "127.0.0.1" in findings["users' address"].found
    assert ceph.keys(url.bucket) == ceph.unfinished_uploads(url.bucket) == []


def made_certificate(directory: Path) -> Path:
    """A key and a certificate that is its own authority, for 127.0.0.1."""
    if not shutil.which("openssl"):
        pytest.skip("needs openssl to make a certificate")
    own = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "90", "-nodes"]
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-keyout", "key.pem", "-out", "cert.pem", *own]
    subprocess.run(make, cwd=directory, check=True, capture_output=True)
    both = directory / "both.pem"
    both.write_text((directory / "key.pem").read_text() + (directory / "cert.pem").read_text())
    return both


def test_a_certificate_that_browsers_refuse(ceph: Ceph, url: S3URL, tmp_path: Path) -> None:
    with FaultyStore((ceph.address, ceph.port), certificate=made_certificate(tmp_path)) as front:
        findings = found(through(front, url, tls=True))
    assert "self-signed" in findings["endpoint"].found
    assert "keys" in findings["not looked at"].found


def test_nobody_there(url: S3URL) -> None:
    for wrong, said in ((replace(url, port=1), "refused"), (replace(url, host="no-such-host.invalid"), "no-such-host")):
        findings = found(wrong)
        assert said in findings["endpoint"].found
        assert set(findings) <= {"endpoint", "users' address", "not looked at"}


def test_keys_and_bucket(url: S3URL) -> None:
    for wrong, said, remedy in (
        (replace(url, access_key="NOBODYSKEY0000000001"), "does not know the access key", "access key"),
        (replace(url, secret_key="wrong"), "signature is refused", "secret key"),
        (replace(url, bucket="no-such-bucket"), "no bucket no-such-bucket", "wbagent bucket create"),
    ):
        findings = found(wrong)
        assert not_well(findings) == {"keys": "fail"}
        assert said in findings["keys"].found
        assert remedy in findings["keys"].remedy
        assert "signed URL" in findings["not looked at"].found


def test_no_cors(bucket: S3URL) -> None:
    findings = found(bucket)
    assert not_well(findings) == {BOTH: "fail"}, "told once"
    assert findings[BOTH].remedy == "wbagent bucket cors"


def test_cors_for_reading_only(ceph: Ceph, bucket: S3URL) -> None:
    write(ceph.client(), bucket, [{**wanted_rule(HOST), "AllowedMethods": ["GET"]}])
    assert not_well(found(bucket)) == {f"CORS: PUT from {HOST}": "fail"}
    write(ceph.client(), bucket, [{**wanted_rule(HOST), "ExposeHeaders": []}])
    assert not_well(found(bucket)) == {"CORS: answer to a page": "warn"}


def test_region_of_the_guide_s_slip(url: S3URL) -> None:
    findings = found(replace(url, options=(("region", "us-east1"),)))
    assert not_well(findings) == {"region": "warn"}
    assert "us-east-1 is" in findings["region"].found


def test_clocks_that_differ(url: S3URL) -> None:
    findings = found(url, now=lambda: time.time() + 3600)
    assert not_well(findings) == {"clock": "fail"}
    assert findings["clock"].found.startswith("the store's clock is 1h behind")
    findings = found(url, now=lambda: time.time() - 300)
    assert not_well(findings) == {"clock": "warn"}


def test_a_proxy_that_drops_a_header(ceph: Ceph, url: S3URL) -> None:
    with FaultyStore((ceph.address, ceph.port), drop=["content-md5"]) as front:
        findings = found(through(front, url))
    assert not_well(findings) == {"signed URL: PUT with Content-MD5": "fail"}
    assert "lost or changed" in findings["signed URL: PUT with Content-MD5"].found


def test_a_proxy_that_drops_origin(ceph: Ceph, url: S3URL) -> None:
    with FaultyStore((ceph.address, ceph.port), drop=["origin"]) as front:
        findings = found(through(front, url))
    assert not_well(findings) == {BOTH: "fail"}
    assert "pass on OPTIONS, Origin" in findings[BOTH].remedy


@pytest.mark.parametrize(("host", "said"), [("127.0.0.1", "without the port"), ("store:80", "signature is refused")])
def test_a_proxy_that_changes_host(ceph: Ceph, url: S3URL, host: str, said: str) -> None:
    with FaultyStore((ceph.address, ceph.port), host=host) as front:
        findings = found(through(front, url))
    assert not_well(findings) == {"keys": "fail"}
    assert said in findings["keys"].found
    assert "proxy_set_header Host $http_host" in findings["keys"].remedy


def test_keys_that_may_only_read(ceph: Ceph, url: S3URL) -> None:
    reading = everything(url.bucket, ["s3:Get*", "s3:List*"], {"AWS": ["arn:aws:iam:::user/USER"]})
    findings = found(allow(ceph, url, reading))
    assert not_well(findings) == {"signed URL: PUT": "fail"}
    assert findings["signed URL: PUT"].found == "403 AccessDenied"
    assert findings["not looked at"].found.startswith("refusal, multipart, delete")


def test_keys_that_may_not_delete(ceph: Ceph, url: S3URL) -> None:
    policy = least_server_policy("ceph", url)
    policy["Statement"][0]["Action"].remove("s3:DeleteObject")
    # In Ceph an object is its writer's, who may delete it unless that is forbidden.
    refusal = {**policy["Statement"][0], "Effect": "Deny", "Action": ["s3:DeleteObject"], "Sid": "Never"}
    limited = allow(ceph, url, {**policy, "Statement": [*policy["Statement"], refusal]})
    looking = Subject(Settings(), Scratch())
    results = run({"bucket": of_store(Store(limited, HOST))}, looking)
    (deleting,) = [each.finding for each in results if each.check == "delete"]
    assert (deleting.verdict, deleting.needed) == ("warn", "s3:DeleteObject")
    assert len(looking.scratch.left) == len(ceph.keys(url.bucket)) > 0, "what stays is told"


def test_the_least_policy_is_enough(ceph: Ceph, url: S3URL, tmp_path: Path) -> None:
    limited = allow(ceph, url, least_server_policy("ceph", url))
    assert not_well(found(limited)) == {}
    assert ceph.keys(url.bucket) == []
    client = ceph.client()
    client.put_bucket_versioning(Bucket=url.bucket, VersioningConfiguration={"Status": "Enabled"})
    findings = found(limited)
    assert not_well(findings) == {}
    assert "test objects of this check stay hidden" in findings["versioning"].found
    assert ceph.keys(url.bucket) == []
    minio_client(ceph, tmp_path, findings["versioning"].remedy)
    assert not_well(found(url)) == {}, "a rule for old versions takes nothing away"


def test_versions_leave_nothing(ceph: Ceph, url: S3URL) -> None:
    client = ceph.client()
    client.put_bucket_versioning(Bucket=url.bucket, VersioningConfiguration={"Status": "Enabled"})
    findings = found(url)
    assert findings["versioning"].found == "versions are kept"
    listed = client.list_object_versions(Bucket=url.bucket)
    assert "Versions" not in listed
    assert "DeleteMarkers" not in listed


def test_a_rule_that_deletes_history(ceph: Ceph, url: S3URL, tmp_path: Path) -> None:
    rules: Any = [
        {"ID": "old files", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 90}},
        {"ID": "others", "Status": "Enabled", "Filter": {"Prefix": "other/"}, "Expiration": {"Days": 1}},
    ]
    ceph.client().put_bucket_lifecycle_configuration(Bucket=url.bucket, LifecycleConfiguration={"Rules": rules})
    findings = found(url)
    assert not_well(findings) == {"lifecycle: rule old files": "fail"}
    finding = findings["lifecycle: rule old files"]
    assert "after 90 days" in finding.found
    minio_client(ceph, tmp_path, finding.remedy)
    assert not_well(found(url)) == {}


def test_a_lock_on_everything(ceph: Ceph, tmp_path: Path) -> None:
    client, url = ceph.client(), ceph.url(f"locked-{next(_numbers)}", "files")
    client.create_bucket(Bucket=url.bucket, ObjectLockEnabledForBucket=True)
    write(client, url, [wanted_rule(HOST)])
    assert not_well(found(url)) == {}, "Object Lock alone locks nothing"
    lock: Any = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 3}}}
    client.put_object_lock_configuration(Bucket=url.bucket, ObjectLockConfiguration=lock)
    findings = found(url)
    assert not_well(findings) == {"Object Lock": "fail"}
    assert "3 days (governance)" in findings["Object Lock"].found
    assert findings["not looked at"].found.startswith("signed URL, refusal, multipart, delete")
    assert "Versions" not in client.list_object_versions(Bucket=url.bucket), "nothing is stored that cannot go away"
    minio_client(ceph, tmp_path, findings["Object Lock"].remedy)
    assert not_well(found(url)) == {}


def test_a_bucket_that_everybody_may_read(ceph: Ceph, url: S3URL, tmp_path: Path) -> None:
    statement = {"Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject"]}
    everybody = [{**statement, "Resource": [f"arn:aws:s3:::{url.bucket}/*"]}]
    policy = json.dumps({"Version": "2012-10-17", "Statement": everybody})
    ceph.client().put_bucket_policy(Bucket=url.bucket, Policy=policy)
    findings = found(url)
    assert findings["refusal: no signature"].verdict == "fail"
    assert "everybody may read" in findings["refusal: no signature"].found
    minio_client(ceph, tmp_path, findings["refusal: no signature"].remedy)
    assert not_well(found(url)) == {}


def test_what_a_killed_check_left_is_removed(ceph: Ceph, url: S3URL) -> None:
    client = ceph.client()
    for key in ("files/.wbagent-check/0/object", "files/history"):
        client.put_object(Bucket=url.bucket, Key=key, Body=b"left")
    assert "delete: left behind" not in found(url), "one of a check that may still run"
    # Within what the store takes for a wrong clock nothing is an hour old.
    store = Store(url, HOST, now=lambda: time.time() + 3700)
    assert store.left_behind() == ["files/.wbagent-check/0/object"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_leaves_nothing(ceph: Ceph, url: S3URL, tmp_path: Path, number: signal.Signals) -> None:
    with FaultyStore((ceph.address, ceph.port)) as front:
        file = tmp_path / "wbagent.toml"
        file.touch(0o600)
        file.write_text(
            f'[server]\nhost = "{HOST}"\nimage = "wandb/local:0.83.0"\nmysql = "mysql://a:b@127.0.0.1/c"\n'
            f'bucket = "{through(front, url)}"\n'
        )
        # The object has been put when it is asked for.
        asked_for = r"^HEAD .*/object\?"
        front.fail([asked_for], "stall", 1)
        command = [sys.executable, "-m", "wbagent.cli.main", "--config", str(file), "bucket", "check"]
        checking = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ))
        front.wait_until_met(asked_for)
        assert len(ceph.keys(url.bucket)) == 1
        checking.send_signal(number)
        _, said = checking.communicate(timeout=30)
    assert checking.returncode in {130, 143}
    assert b"Traceback" not in said
    assert ceph.keys(url.bucket) == []


def test_what_fails_at_the_store_is_told_without_secrets(ceph: Ceph, url: S3URL) -> None:
    with FaultyStore((ceph.address, ceph.port)) as front:
        front.fail([r"^(PUT|POST) "], "503")
        findings = found(through(front, url))
    assert findings["signed URL: PUT"].found == "503 SlowDown"
    assert url.secret_key not in str(findings)
    assert "X-Amz-Signature" not in str(findings)


def test_the_client_of_the_store_gives_up_within_the_limit(ceph: Ceph, url: S3URL) -> None:
    with FaultyStore((ceph.address, ceph.port)) as front:
        front.fail([r"^POST .*uploads"], "cut")
        findings = found(through(front, url))
    assert set(not_well(findings)) == {"multipart"}
