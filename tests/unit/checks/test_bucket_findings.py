"""What each answer of a store means: pure judgements, and which checks a configuration has."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wbagent.bucket.mc_lines import McLines
from wbagent.bucket.plain_http import Reply
from wbagent.checks.areas import checks_of
from wbagent.checks.bucket.access import Region, judge_region, judge_taken, judge_trouble
from wbagent.checks.bucket.endpoint import Address, judge_address, judge_clock, judge_endpoint
from wbagent.checks.bucket.objects import judge_deleted
from wbagent.checks.bucket.pages import judge_preflight, judge_seen
from wbagent.checks.bucket.rules import judge_lifecycle, judge_lock, judge_versioning
from wbagent.checks.bucket.signed import judge_get, judge_head, judge_md5, judge_put, judge_refusal, judge_spaced
from wbagent.checks.bucket.store import Store
from wbagent.checks.check import Finding, Subject
from wbagent.checks.scratch import Scratch
from wbagent.config import Settings
from wbagent.config.dsn import S3URL
from wbagent.config.monitor import CertificateSettings
from wbagent.monitor.outside import Certificate, Doubt, Outside, Stage
from wbagent.monitor.store_probe import Trouble
from wbagent.server.resolving import Unseen

NOW = 1.7e9
UNSEEN = Unseen("the server's container asks the DNS, which does not know it", "name it by its address", sure=True)
HOST = "https://wandb.example.com"
URL = S3URL.parse("s3://KEY:SECRET@minio.example.com:9000/files?region=us-east-1&tls=true")
MC = McLines(URL, "wandb")


def settings(bucket: str = "", *, embedded: bool = False) -> Settings:
    server = {"host": HOST, "image": "wandb/local:0.83.0"}
    more = {"embedded": True} if embedded else {"bucket": bucket, "mysql": "mysql://a:b@db1.example.com/c"}
    return Settings.model_validate({"server": {**server, **more}})


@pytest.mark.parametrize(
    ("configured", "said", "remedy"),
    [
        (Settings(), "no [server]", "wbagent init"),
        (settings(embedded=True), "object store of its image", "externalize"),
        (settings("gs://bucket"), "Google's store is not asked", "wbagent verify"),
        (settings("az://account/bucket"), "Azure's", "wbagent verify"),
        (settings("s3://bucket"), "machine's role", "wbagent verify"),
    ],
)
def test_what_cannot_be_checked_is_said(configured: Settings, said: str, remedy: str) -> None:
    (check,) = checks_of("bucket", configured)
    finding = check.run(Subject(configured, Scratch()))
    assert isinstance(finding, Finding)
    assert finding.verdict == "note"
    assert said in finding.found
    assert remedy in finding.remedy


def test_an_s3_bucket_has_checks_with_names_of_their_own() -> None:
    names = [check.name for check in checks_of("bucket", settings(str(URL)))]
    assert names[0] == "endpoint"
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("address", "verdict", "said"),
    [
        (Address("minio.example.com", ("203.0.113.7",)), "pass", "minio.example.com"),
        (Address("10.1.2.3", ("10.1.2.3",)), "pass", "10.1.2.3"),
        (Address("10.1.2.3", ("10.1.2.3",), outside=True), "warn", "private networks"),
        (Address("minio.example.com", ("93.184.215.14",), outside=True), "pass", ""),
        (Address("localhost", ("127.0.0.1", "::1")), "fail", "that machine itself"),
        (Address("s3.example.com", ("127.0.1.1",)), "fail", "that machine itself"),
        (Address("minio", ("10.1.2.3",)), "warn", "without a domain"),
        (Address("minio.example.com", ("10.1.2.3",), hosts_file=True), "warn", "/etc/hosts"),
        (Address("minio.example.com", ("10.1.2.3",), hosts_file=True, unseen=UNSEEN), "fail", "asks the DNS"),
        (Address("minio", ("10.1.2.3",), unseen=replace(UNSEEN, sure=False)), "warn", "asks the DNS"),
        (Address("host.docker.internal", ("10.1.2.3",)), "fail", "only containers"),
        (Address("172.17.0.2", ("172.17.0.2",), docker=True), "fail", "only containers"),
    ],
)
def test_addresses_that_users_reach(address: Address, verdict: str, said: str) -> None:
    finding = judge_address(address)
    assert (finding.verdict, said in finding.found) == (verdict, True)


def test_endpoints() -> None:
    def judged(seen: Outside, *, pages_by_tls: bool = True) -> Finding:
        (finding,) = judge_endpoint(
            "https://minio.example.com:9000", seen, CertificateSettings(), now=NOW, pages_by_tls=pages_by_tls
        )
        return finding

    good = Certificate(expires=None)
    assert judged(Outside(Stage.UNREADY, "403 Forbidden", 0.01, 403, good)).verdict == "pass"
    plain = judged(Outside(Stage.UNREADY, "403 Forbidden", 0.01, 403))
    assert (plain.verdict, "may not load them" in plain.found) == ("warn", True)
    assert "may not load them" not in judged(Outside(None, "", 0.01, 200), pages_by_tls=False).found
    assert judged(Outside(Stage.REFUSED, "connection refused", 0.01)).verdict == "fail"
    soon = Certificate(expires=NOW + 5 * 86400)
    assert "expires in 5 days" in judged(Outside(None, "", 0.01, 200, soon)).found
    # As the area tls judges the server's own.
    for days, verdict in ((29, "warn"), (5, "warn"), (2, "fail"), (31, "pass")):
        certificate = Certificate(expires=NOW + days * 86400)
        assert judged(Outside(None, "", 0.01, 200, certificate)).verdict == verdict
    assert judged(Outside(None, "", 0.01, 200, Certificate(expires=NOW + 90 * 86400))).verdict == "pass"
    for said in ("301 Moved to https://minio.example.com", "400 Client sent an HTTP request to an HTTPS server."):
        stage = Stage.REDIRECT if said.startswith("3") else Stage.UNREADY
        assert "tls=true" in judged(Outside(stage, said, 0.01, int(said[:3]))).remedy
    for doubt in Doubt:
        finding = judged(Outside(None, "", 0.01, 200, Certificate(None, doubt, "why")))
        assert (finding.verdict, "why" in finding.found, finding.remedy != "") == ("fail", True, True)


@given(st.floats(-1e7, 1e7))
@example(61.0)
@example(-899.0)
@example(901.0)
def test_clocks(ahead: float) -> None:
    verdict = judge_clock(ahead).verdict
    assert verdict == ("pass" if abs(ahead) <= 60 else "warn" if abs(ahead) < 900 else "fail")


@pytest.mark.parametrize(
    ("region", "verdict", "remedy"),
    [
        (Region("us-east-1", "us-east-1", minded=True), "pass", ""),
        (Region(None, "", minded=True), "pass", ""),
        (Region("us-east1", "", minded=False), "warn", "region=us-east-1 in"),
        (Region("us-east1", "default", minded=False), "warn", "region=us-east-1 in"),
        (Region("us-gov-west1", "", minded=False), "warn", "region=us-gov-west-1 in"),
        (Region("us-east1", "us-east1", minded=True), "pass", ""),
        (Region("us-east-1", "eu-west-1", minded=True), "warn", "region=eu-west-1 in"),
        (Region("us-east-1", "default", minded=False), "pass", ""),
        (Region("europe-west1", "", minded=True), "pass", ""),
    ],
)
def test_regions(region: Region, verdict: str, remedy: str) -> None:
    finding = judge_region(region)
    assert (finding.verdict, remedy in finding.remedy) == (verdict, True)


@pytest.mark.parametrize(
    ("said", "verdict"),
    [("GET: 404 NoSuchKey", "pass"), ("GET: 403 AccessDenied", "pass"), ("GET: 404", "fail"), ("GET: 200", "fail")],
)
def test_something_else_than_a_store(said: str, verdict: str) -> None:
    assert judge_taken(said, Store(URL, HOST)).verdict == verdict


def test_every_trouble_has_a_remedy() -> None:
    for trouble in Trouble:
        finding = judge_trouble(trouble, "GET: 403", Store(URL, HOST), port_is_lost=False)
        assert (finding.verdict, finding.remedy != "") == ("fail", True)
    lost = judge_trouble(Trouble.SIGNATURE, "GET: 403 SignatureDoesNotMatch", Store(URL, HOST), port_is_lost=True)
    assert "without the port" in lost.found


def test_uploads_and_downloads() -> None:
    ok, body = Reply(200, headers={"content-length": "4"}, body=b"body"), b"body"
    assert judge_put(ok).verdict == "pass"
    assert "client_max_body_size" in judge_put(Reply(413)).remedy
    assert "$http_host" in judge_put(Reply(403, "SignatureDoesNotMatch")).remedy
    assert "policy" in judge_put(Reply(403, "AccessDenied")).remedy
    assert judge_md5(ok, Reply(400, "BadDigest")).verdict == "pass"
    assert judge_md5(ok, ok).verdict == "warn"
    assert judge_md5(Reply(403, "SignatureDoesNotMatch"), ok).verdict == "fail"
    assert judge_md5(Reply(400, "BadDigest"), Reply(400, "BadDigest")).verdict == "fail"
    assert judge_head(ok, 4).verdict == "pass"
    assert judge_head(ok, 5).verdict == "fail"
    assert judge_head(Reply(403), 4).verdict == "fail"
    assert judge_get(ok, body).verdict == "pass"
    assert judge_get(ok, b"else").verdict == "fail"
    assert judge_get(Reply(403, "AccessDenied"), body).verdict == "fail"
    assert judge_spaced(ok, ok, body).verdict == "pass"
    assert judge_spaced(Reply(403, "SignatureDoesNotMatch"), Reply(404), body).verdict == "fail"
    assert judge_spaced(ok, Reply(404, "NoSuchKey"), body).verdict == "fail"


@pytest.mark.parametrize(("status", "verdict"), [(403, "pass"), (401, "pass"), (200, "fail"), (404, "warn")])
def test_what_must_be_refused(status: int, verdict: str) -> None:
    assert judge_refusal("no signature", Reply(status), MC).verdict == verdict


def test_what_was_deleted() -> None:
    assert [judge_deleted(Reply(status)).verdict for status in (404, 403, 200)] == ["pass", "pass", "fail"]


def test_preflights() -> None:
    def reply(origin: str, methods: str = "GET, PUT, HEAD", headers: str = "content-type,content-md5") -> Reply:
        names = ("access-control-allow-origin", "access-control-allow-methods", "access-control-allow-headers")
        return Reply(200, headers=dict(zip(names, (origin, methods, headers), strict=True)))

    for origin in (HOST, "*"):
        assert judge_preflight("PUT", reply(origin), HOST).verdict == "pass"
    assert "https://other.example.com only" in judge_preflight("GET", reply("https://other.example.com"), HOST).found
    assert judge_preflight("GET", Reply(403, "AccessForbidden"), HOST).verdict == "fail"
    assert judge_preflight("PUT", reply(HOST, methods="GET"), HOST).verdict == "fail"
    assert "content-md5" in judge_preflight("PUT", reply(HOST, headers="Content-Type"), HOST).found
    assert judge_preflight("PUT", reply(HOST, headers="*"), HOST).verdict == "pass"
    assert "answered 500" in judge_preflight("PUT", replace(reply(HOST), status=500), HOST).found
    seen = Reply(200, headers={"access-control-allow-origin": HOST, "access-control-expose-headers": "ETag"})
    assert judge_seen(seen, HOST).verdict == "pass"
    assert judge_seen(Reply(200, headers={"access-control-allow-origin": HOST}), HOST).verdict == "warn"
    assert judge_seen(Reply(200), HOST).verdict == "fail"


RULE = {"ID": "r 1", "Status": "Enabled", "Filter": {"Prefix": ""}}


@pytest.mark.parametrize(
    ("rule", "verdict"),
    [
        ({"Expiration": {"Days": 30}}, "fail"),
        ({"Expiration": {"Date": "2026-01-01"}}, "fail"),
        ({"Expiration": {"Days": 30}, "Status": "Disabled"}, "pass"),
        ({"Expiration": {"Days": 30}, "Filter": {"Prefix": "files/media/"}}, "fail"),
        ({"Expiration": {"Days": 30}, "Filter": {"Prefix": "fi"}}, "fail"),
        ({"Expiration": {"Days": 30}, "Filter": {"Prefix": "files2/"}}, "pass"),
        ({"Expiration": {"Days": 30}, "Filter": {"And": {"Prefix": "logs/"}}}, "pass"),
        ({"Expiration": {"Days": 30}, "Filter": {"Tag": {"Key": "a", "Value": "b"}}}, "pass"),
        ({"Expiration": {"ExpiredObjectDeleteMarker": True}}, "pass"),
        ({"NoncurrentVersionExpiration": {"NoncurrentDays": 30}}, "pass"),
        ({"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}}, "pass"),
        ({"Transitions": [{"Days": 30, "StorageClass": "GLACIER"}]}, "warn"),
        ({"Transitions": [{"Days": 30, "StorageClass": "STANDARD_IA"}]}, "pass"),
    ],
)
def test_lifecycle_rules(rule: dict[str, object], verdict: str) -> None:
    (finding,) = judge_lifecycle([{**RULE, **rule}], "files", MC)
    assert finding.verdict == verdict
    if verdict != "pass":
        assert finding.remedy == "mcli ilm rule rm --id 'r 1' wandb/files"


@given(st.lists(st.sampled_from(["", "files/", "files/a", "other/"])), st.sampled_from(["", "files", "other"]))
def test_whatever_the_rules_something_is_found(prefixes: list[str], prefix: str) -> None:
    rules = [{**RULE, "Expiration": {"Days": 1}, "Filter": {"Prefix": each}} for each in prefixes]
    findings = list(judge_lifecycle(rules, prefix, MC))
    assert findings
    if "" in prefixes or not prefix:
        assert any(finding.verdict == "fail" for finding in findings) == bool(prefixes)


def test_locks_and_versions() -> None:
    assert judge_lock(None, MC).verdict == "note"
    assert judge_lock({}, MC).verdict == "pass"
    assert judge_lock({"ObjectLockEnabled": "Enabled"}, MC).verdict == "pass"
    locked = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Years": 1}}}
    finding = judge_lock(locked, MC)
    assert (finding.verdict, "1 years (compliance)" in finding.found) == ("fail", True)
    assert judge_versioning("Enabled", 0, MC).verdict == "pass"
    assert judge_versioning("Enabled", 3, MC).verdict == "note"
    assert "suspended" in judge_versioning("Suspended", 0, MC).found
    assert judge_versioning("", 0, MC).remedy == "mcli version enable wandb/files"
