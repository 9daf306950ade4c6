"""What a thief could do, by what the keys may do: "no" is said only of what was refused or is locked."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from wbagent.bucket.policy import least_policy
from wbagent.bucket.powers import Powers
from wbagent.bucket.verdict import Means, judge
from wbagent.config.dsn import S3URL

SAFE = Powers(
    put=True, read=False, list=True, delete=False, versioned=True, delete_version=False, locking=False, administer=False
)
MEANS = Means("", encrypted=False, tls=True, same_machine=False)
LOCKED = replace(SAFE, locking=True, delete_version=True, administer=True, bypass=False, shorten=False)
URL = S3URL.parse("s3://KEY:SECRET@s3.example.com/bucket/prefix?tls=true")


def test_nothing_to_mend() -> None:
    verdict = judge(SAFE, MEANS)
    assert verdict.good
    assert (verdict.destroy, verdict.read) == (False, False)


@pytest.mark.parametrize(
    ("powers", "means", "destroy"),
    [
        (replace(SAFE, versioned=False), MEANS, True),
        (replace(SAFE, versioned=None), MEANS, True),
        (replace(SAFE, delete_version=True), MEANS, True),
        (replace(SAFE, delete_version=None), MEANS, True),
        (replace(SAFE, administer=True), MEANS, True),
        (replace(SAFE, administer=None), MEANS, True),
        (LOCKED, MEANS, True),
        (LOCKED, replace(MEANS, lock="governance"), False),
        (replace(LOCKED, retention="GOVERNANCE"), MEANS, False),
        (replace(LOCKED, bypass=True), replace(MEANS, lock="governance"), True),
        (replace(LOCKED, bypass=None), replace(MEANS, lock="governance"), True),
        (replace(LOCKED, shorten=True), replace(MEANS, lock="governance"), True),
        (replace(LOCKED, shorten=True, delete_version=False), replace(MEANS, lock="governance"), False),
        (replace(LOCKED, bypass=True), replace(MEANS, lock="compliance"), False),
        (replace(LOCKED, locking=False), replace(MEANS, lock="compliance"), True),
    ],
)
def test_who_could_destroy(powers: Powers, means: Means, destroy: bool) -> None:
    assert judge(powers, means).destroy is destroy


@pytest.mark.parametrize(("read", "encrypted"), [*product([False, True], repeat=2)])
def test_who_could_read(read: bool, encrypted: bool) -> None:
    assert judge(replace(SAFE, read=read), replace(MEANS, encrypted=encrypted)).read is (read and not encrypted)


@pytest.mark.parametrize(
    ("powers", "means", "text"),
    [
        (replace(SAFE, put=False), MEANS, "may not write"),
        (replace(SAFE, list=False), MEANS, "may not list"),
        (SAFE, replace(MEANS, tls=False), "not encrypted"),
        (SAFE, replace(MEANS, same_machine=True), "this very machine"),
        (replace(SAFE, versioned=True), replace(MEANS, lock="governance"), "no Object Lock"),
    ],
)
def test_other_things_to_mend(powers: Powers, means: Means, text: str) -> None:
    verdict = judge(powers, means)
    assert not verdict.good
    (finding,) = [each for each in verdict.findings if text in each.text]
    assert finding.remedy


@pytest.mark.parametrize("kind", ["aws", "ceph", "minio"])
@pytest.mark.parametrize(("read_back", "lock"), [*product([False, True], repeat=2)])
def test_policy_allows_no_deleting_and_reading_only_when_wanted(kind: str, read_back: bool, lock: bool) -> None:
    policy = least_policy(kind, URL, "host1", read_back=read_back, lock=lock)  # type: ignore[arg-type] # one of them
    host = [each for each in policy["Statement"] if each["Effect"] == "Allow" and each["Sid"] != "Owner"]
    allowed = {action for each in host for action in each["Action"]}
    assert not any("Delete" in action or "Bypass" in action or "*" in action for action in allowed)
    assert ("s3:GetObject" in allowed) is read_back
    assert ("s3:PutObjectRetention" in allowed) is lock
    assert host[0]["Resource"] == "arn:aws:s3:::bucket/prefix/host1/*", "not host10's"
    assert all("Principal" in each for each in policy["Statement"]) is (kind == "ceph")
