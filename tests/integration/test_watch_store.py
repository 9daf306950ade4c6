"""The object stores as they are watched: a real one broken, misnamed, asked with wrong keys and a wrong clock."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as Keys

from tests.testbed.ceph import Ceph, Credentials
from tests.testbed.proxy import Proxy
from wbagent.alerts.condition import Condition
from wbagent.alerts.store import BACKUPS, FILES, StoreWatch
from wbagent.config import Settings
from wbagent.config.dsn import S3URL
from wbagent.moment import Moment
from wbagent.monitor import store_probe
from wbagent.monitor.reach import Reach
from wbagent.monitor.store_probe import Trouble

KEY = ".wbagent/test"


def settings(files: S3URL, backups: S3URL) -> Settings:
    return Settings.model_validate(
        {
            "server": {
                "host": "http://127.0.0.1:8080",
                "image": "wandb/local:0.83.0",
                "bucket": str(files),
                "mysql": "mysql://a:b@127.0.0.1/c",
            },
            "backup": {"destination": str(backups)},
        }
    )


def trouble(url: S3URL, *, writes: bool = True, late: float = 0.0) -> Trouble | None:
    ask = store_probe.write if writes else store_probe.read
    return ask(url, KEY, 10.0, time.time() + late).trouble


def test_a_good_store_is_asked_and_nothing_is_left_in_it(ceph: Ceph, bucket: S3URL) -> None:
    watch, reach = StoreWatch(Reach()), Reach()
    seen = watch.look(settings(bucket, bucket), Moment.now())
    assert [(each.fingerprint, each.value) for each in seen.conditions if each.kind == "store"] == [
        (FILES, 0.0),
        (BACKUPS, 0.0),
    ]
    up = {sample.labels: sample.value for sample in seen.samples if sample.name == "wbagent_store_up"}
    assert up == {(("store", "files"),): 1.0, (("store", "backups"),): 1.0}
    assert ceph.keys(bucket.bucket) == []
    assert reach.found(Moment.now()) == {}


def test_each_trouble_has_its_own_name(ceph: Ceph, bucket: S3URL) -> None:
    for writes in (True, False):
        assert trouble(replace(bucket, access_key="NOBODYSKEY0000000001"), writes=writes) is Trouble.KEY
        assert trouble(replace(bucket, secret_key="wrong"), writes=writes) is Trouble.SIGNATURE
        assert trouble(replace(bucket, bucket="no-such-bucket"), writes=writes) is Trouble.BUCKET
        assert trouble(bucket, writes=writes, late=3600.0) is Trouble.CLOCK
        assert trouble(replace(bucket, host="no-such-host.invalid"), writes=writes) is Trouble.UNRESOLVED
        assert trouble(replace(bucket, options=(("tls", "true"),)), writes=writes) is Trouble.TLS
        assert trouble(bucket, writes=writes) is None
    assert ceph.keys(bucket.bucket) == []


def test_a_store_that_is_down_or_says_nothing(ceph: Ceph, bucket: S3URL) -> None:
    with Proxy((ceph.address, ceph.port)) as proxy:
        through = replace(bucket, host=proxy.address, port=proxy.port)
        assert trouble(through) is None
        proxy.stall()
        silent = store_probe.write(through, KEY, 0.5, time.time())
        port = proxy.port
        said = f"127.0.0.1:{port}: connected, but no answer in 0.5 s"
        assert (silent.trouble, silent.said) == (Trouble.UNREACHABLE, said)
        assert silent.reached
    refused = store_probe.read(replace(bucket, port=port), KEY, 10.0, time.time())
    assert (refused.trouble, refused.reached) == (Trouble.REFUSED, True)
    assert refused.said == f"127.0.0.1:{port}: Connection refused"


def test_versions_leave_nothing_and_keys_that_may_not_delete_leave_one_object(ceph: Ceph, bucket: S3URL) -> None:
    client = ceph.client()
    client.put_bucket_versioning(Bucket=bucket.bucket, VersioningConfiguration={"Status": "Enabled"})
    assert trouble(bucket) is None
    assert "Versions" not in client.list_object_versions(Bucket=bucket.bucket)
    assert "DeleteMarkers" not in client.list_object_versions(Bucket=bucket.bucket)
    limited = ceph.create_user(f"{bucket.bucket}-writer", Credentials("WRITERKEY00000000001", "w" * 40))
    allow(ceph, bucket, f"{bucket.bucket}-writer", ["s3:PutObject", "s3:GetObject", "s3:ListBucket"])
    url = replace(bucket, access_key=limited.access_key, secret_key=limited.secret_key)
    watch = StoreWatch(Reach())
    for _ in range(3):
        (store, *_rest) = watch.look(settings(url, bucket), Moment.now()).conditions
        assert (store.fingerprint, store.value) == (FILES, 0.0)
    assert len(client.list_object_versions(Bucket=bucket.bucket)["Versions"]) == 1


def test_keys_for_backups_that_may_only_write_are_no_trouble(ceph: Ceph, bucket: S3URL) -> None:
    writer = ceph.create_user(f"{bucket.bucket}-only", Credentials("WRITERKEY00000000002", "v" * 40))
    allow(ceph, bucket, f"{bucket.bucket}-only", ["s3:PutObject"])
    url = replace(bucket, access_key=writer.access_key, secret_key=writer.secret_key)
    assert trouble(url, writes=False) is None
    assert trouble(replace(url, secret_key="wrong"), writes=False) is Trouble.SIGNATURE
    stranger = ceph.create_user(f"{bucket.bucket}-stranger", Credentials("STRANGER000000000001", "s" * 40))
    denied = replace(bucket, access_key=stranger.access_key, secret_key=stranger.secret_key)
    assert trouble(denied) is Trouble.DENIED
    (condition, *_rest) = StoreWatch(Reach()).look(settings(denied, bucket), Moment.now()).conditions
    assert told(condition) == "these keys may not do this. PUT: 403 AccessDenied"


def allow(ceph: Ceph, bucket: S3URL, user: str, actions: list[str]) -> None:
    resources = [f"arn:aws:s3:::{bucket.bucket}", f"arn:aws:s3:::{bucket.bucket}/*"]
    statement = {"Effect": "Allow", "Principal": {"AWS": [f"arn:aws:iam:::user/{user}"]}}
    policy = {"Version": "2012-10-17", "Statement": [{**statement, "Action": actions, "Resource": resources}]}
    ceph.client().put_bucket_policy(Bucket=bucket.bucket, Policy=json.dumps(policy))


def told(condition: Condition) -> str:
    return f"{condition.facts['trouble']} {condition.facts['said']}"


@pytest.mark.parametrize("late", [0.0, 40.0])
def test_what_botocore_signs_is_what_is_signed(late: float) -> None:
    """Unlike requests that a store accepts, this also compares what it need not look at; the date is botocore's own."""
    from wbagent.bucket.signing import signed, target  # noqa: PLC0415 - with the one test that needs it

    url = S3URL.parse("s3://KEY:SEC%2FRET@store.example.com:9000/bucket/a%20b?region=eu-west-1")
    query = {"versionId": "a/b c"}
    request = AWSRequest("PUT", f"http://store.example.com:9000{target(url, 'a b/ü', query)}", data=b"body")
    S3SigV4Auth(Keys("KEY", "SEC/RET"), "s3", "eu-west-1").add_auth(request)
    at = time.mktime(time.strptime(request.context["timestamp"], "%Y%m%dT%H%M%SZ")) - time.timezone
    ours = signed(url, "PUT", "a b/ü", query, b"body", at + late)
    assert (ours["authorization"] == request.headers["Authorization"]) is (late == 0.0)
