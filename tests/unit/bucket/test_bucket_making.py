"""What is left to do for a bucket, the CORS rules as they are put together, and the URLs that are signed."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from wbagent.bucket.cors import allows, as_xml, merged, origin_of, wanted_rule
from wbagent.bucket.making import Found, Step, Wanted, steps
from wbagent.bucket.mc_lines import McLines
from wbagent.bucket.policy import how_to_put, kind_of, least_server_policy
from wbagent.bucket.signing import presigned, target
from wbagent.cli.main import cli
from wbagent.config.dsn import S3URL
from wbagent.errors import BucketError, WbagentError

HOST = "https://wandb.example.com"
URL = S3URL.parse("s3://KEY:SEC%2FRET@store.example.com:9000/bucket?region=eu-west-1")
RULES = st.lists(
    st.fixed_dictionaries(
        {
            "AllowedOrigins": st.lists(st.sampled_from([HOST, "*", "https://*.example.com", "https://x"]), min_size=1),
            "AllowedMethods": st.lists(st.sampled_from(["GET", "PUT", "HEAD", "POST"]), min_size=1),
        },
        optional={
            "ID": st.sampled_from(["wbagent", "a", "b"]),
            "AllowedHeaders": st.just(["*"]),
            "ExposeHeaders": st.just(["ETag"]),
        },
    ),
    max_size=4,
)


@given(RULES)
def test_merged_rules_allow_and_keep_the_others(rules: list[dict[str, Any]]) -> None:
    after = merged(rules, HOST)
    assert any(allows(rule, HOST) for rule in after)
    assert [rule for rule in rules if rule.get("ID") != "wbagent"] == [
        rule for rule in after if rule.get("ID") != "wbagent"
    ]
    assert merged(after, HOST) == after


@pytest.mark.parametrize(
    ("origins", "right"),
    [([HOST], True), (["*"], True), (["https://*.example.com"], True), (["https://w?ndb.example.com"], False)],
)
def test_origins_with_a_star(origins: list[str], right: bool) -> None:
    assert allows({**wanted_rule(HOST), "AllowedOrigins": origins}, HOST) is right


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("https://W.example.com:443", "https://w.example.com"),
        ("http://w:80", "http://w"),
        ("http://w:8080", "http://w:8080"),
        ("https://w:80", "https://w:80"),
    ],
)
def test_origin_as_browsers_name_it(host: str, origin: str) -> None:
    assert origin_of(host) == origin


def test_rule_as_xml_is_well_formed() -> None:
    tree = ET.fromstring(as_xml([{**wanted_rule("https://a?b&c"), "MaxAgeSeconds": 5}]))  # noqa: S314 - our own
    assert [element.text for element in tree.iter("AllowedMethod")] == ["GET", "PUT", "HEAD"]
    assert tree.findtext("CORSRule/AllowedOrigin") == "https://a?b&c"


def test_what_is_left_to_do() -> None:
    everything = Wanted(versioning=True, origin=HOST)
    assert steps(Found(exists=False), everything) == (Step.MAKE, Step.VERSIONING, Step.CORS)
    assert steps(Found(True, True, False, (wanted_rule(HOST),)), everything) == ()
    assert steps(Found(True), Wanted()) == ()
    assert steps(Found(True, rules=None), Wanted(origin=HOST)) == (), "the store knows no such rules"
    assert steps(Found(exists=False), Wanted(lock=True, versioning=True)) == (Step.MAKE,), "a lock keeps versions"
    with pytest.raises(BucketError, match="from its making on"):
        steps(Found(True), Wanted(lock=True))


def test_lines_by_hand_hold_no_secret_and_quote() -> None:
    lines = McLines(URL, "wandb")
    assert lines.login() == "mcli alias set wandb http://store.example.com:9000 --path on"
    assert lines.make(lock=True) == "mcli mb --ignore-existing --region eu-west-1 --with-lock wandb/bucket"
    amazon = McLines(S3URL.parse("s3://bucket?region=eu-west-1"), "wandb")
    assert amazon.login() == "mcli alias set wandb https://s3.eu-west-1.amazonaws.com --path off"


def test_policies_by_kind() -> None:
    assert [kind_of(URL, server) for server in ("Ceph Object Gateway (tentacle)", "MinIO", "AmazonS3", "")] == [
        "ceph",
        "minio",
        "aws",
        "minio",
    ]
    assert kind_of(S3URL.parse("s3://K:S@s3.eu-west-1.amazonaws.com/bucket?tls=true"), "") == "aws"
    assert least_server_policy("minio", URL)["Statement"][0]["Resource"] == "arn:aws:s3:::bucket/*"
    assert "s3:GetBucketCORS" not in str(least_server_policy("minio", URL))
    assert "SEC" not in how_to_put("minio", URL, "wandb")


@pytest.mark.parametrize("headers", [{}, {"content-md5": "AAAA", "a-header": "x"}])
def test_what_botocore_signs_into_a_url_is_what_is_signed(headers: dict[str, str]) -> None:
    query = {"uploadId": "a/b c", "partNumber": "1"}
    request = AWSRequest("PUT", f"http://store.example.com:9000{target(URL, 'a b/ü', {})}", headers, params=query)
    auth = S3SigV4QueryAuth(Credentials("KEY", "SEC/RET"), "s3", "eu-west-1", expires=86400)
    auth.add_auth(request)
    at = time.mktime(time.strptime(request.context["timestamp"], "%Y%m%dT%H%M%SZ")) - time.timezone
    ours = presigned(URL, "PUT", "a b/ü", now=at, expires=86400, query=query, headers=headers)
    assert ours.target.rpartition("=")[2] == str(request.url).rpartition("=")[2]
    assert dict(ours.headers) == {"host": "store.example.com:9000", **headers}
    assert ours.target.rpartition("=")[2] not in repr(ours)


@pytest.mark.parametrize(
    ("server", "command", "said"),
    [
        ("", ["create"], "no [server]"),
        ("", ["create", "--backup"], "[backup] destination is not set"),
        ("embedded = true", ["cors"], "object store of its image"),
        ('bucket = "gs://bucket"\nmysql = "mysql://a:b@db1/c"', ["create"], "not spoken to by S3"),
        (f'bucket = "{URL}"\nmysql = "mysql://a:b@db1/c"', ["create", "--lock"], "--lock is for the bucket of backups"),
        (
            f'bucket = "{URL}"\nmysql = "mysql://a:b@db1/c"',
            ["create", "--admin", "s3://K:S@other.example.com/bucket"],
            "--admin names another store",
        ),
    ],
)
def test_what_cannot_be_set_up_is_said(tmp_path: Path, server: str, command: list[str], said: str) -> None:
    file = tmp_path / "wbagent.toml"
    file.touch(0o600)
    text = f'[server]\nhost = "{HOST}"\nimage = "wandb/local:0.83.0"\n{server}\n' if server else ""
    file.write_text(text)
    done = CliRunner().invoke(cli, ["--config", str(file), "bucket", *command])
    assert isinstance(done.exception, WbagentError)
    assert said in done.exception.message
    told = f"{done.exception.message}{done.exception.hint}{done.output}"
    assert not re.search(r"SEC(/|%2F)RET", told)
