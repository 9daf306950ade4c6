"""Each judgement of the area "server": where it fails, for the right reason, and where it passes."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wbagent.checks.check import Finding, Subject, Verdict
from wbagent.checks.scratch import Scratch
from wbagent.checks.server import checks
from wbagent.checks.server.configured import (
    judge_address,
    judge_image,
    judge_licence,
    judge_port,
    judge_region,
)
from wbagent.checks.server.environment import judge_environment
from wbagent.checks.server.kept import Kept, group_permissions, judge_kept
from wbagent.checks.server.room import judge_limits, judge_space, may_write, volume
from wbagent.checks.server.running import (
    judge_container,
    judge_log,
    judge_probe,
    judge_restarts,
    judge_unit,
    judge_unread,
)
from wbagent.config import Settings
from wbagent.monitor.disk import Space
from wbagent.server.diff import Difference
from wbagent.server.history import Reason, Record
from wbagent.server.probe import Answer

NOW = datetime(2026, 11, 26, tzinfo=UTC)
DAY = 86400.0
GIB = 1 << 30


def verdicts(found: Iterable[Finding]) -> dict[str, str]:
    return {each.about: each.verdict.value for each in found}


def licence(**claims: object) -> str:
    return ".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({}, claims, {})
    )


@pytest.mark.parametrize(
    ("name", "verdict", "said"),
    [
        ("wandb/local:0.83.0", "pass", "about 4 months old"),
        ("registry:5000/wandb/local:0.87.1", "pass", "not older than a month"),
        ("wandb/local:0.75.0", "pass", "about 12 months old"),
        ("wandb/local:0.74.0", "warn", "about 13 months old"),
        ("wandb/local:0.78.0", "fail", "0.78.0 is one of the two"),
        ("wandb/local:0.78.1", "fail", "0.78.1 is one of the two"),
        ("wandb/local:0.78.2", "pass", "about 9 months"),
        ("wandb/local@sha256:" + "0" * 64, "note", "pinned by a digest"),
        ("wandb/local:ours", "note", 'the tag "ours"'),
        ("wandb/local:1.2.3", "note", "cannot be told"),
    ],
)
def test_image(name: str, verdict: str, said: str) -> None:
    found = judge_image(name, NOW)
    assert (found.verdict, said in found.found) == (verdict, True), found


@pytest.mark.parametrize(
    ("host", "verdict"),
    [
        ("https://wandb.example.com", "pass"),
        # That it is not https:// the area tls tells, once.
        ("http://wandb.example.com:8080", "pass"),
        ("http://localhost:8080", "warn"),
        ("https://127.0.0.1", "warn"),
    ],
)
def test_address(host: str, verdict: str) -> None:
    assert judge_address(host).verdict == verdict


@pytest.mark.parametrize(
    ("text", "verdict", "said"),
    [
        (None, "warn", "no licence"),
        ("abc def", "fail", "white space"),
        ("plain-licence", "pass", "13 characters"),
        (licence(exp=NOW.timestamp() - 1), "fail", "expired on 2026-11-25"),
        (licence(exp=NOW.timestamp() + 3 * DAY), "warn", "expires in 3d"),
        (licence(exp=NOW.timestamp() + 300 * DAY), "pass", "valid until 2027"),
        (licence(exp="soon"), "pass", "does not tell"),
        (licence(exp=1e300), "pass", "does not tell"),
    ],
)
def test_licence(text: str | None, verdict: str, said: str) -> None:
    found = judge_licence(text, NOW.timestamp())
    assert (found.verdict, said in found.found) == (verdict, True), found


@given(st.text())
def test_nothing_of_a_licence_is_shown(text: str) -> None:
    found = judge_licence(f"Xq7Lp2{text}", NOW.timestamp())
    assert "Xq7Lp2" not in f"{found}"


@pytest.mark.parametrize(
    ("own", "bucket", "used", "amazon", "verdict"),
    [
        (None, "eu-west-1", "eu-west-1", True, "pass"),
        ("eu-west-1", "eu-west-1", "eu-west-1", False, "pass"),
        ("us-east-1", "eu-west-1", "us-east-1", True, "fail"),
        (None, "us-east1", "us-east1", True, "fail"),
        # Which one a store of one's own has the area bucket measures; europe-west1 is Google's.
        (None, "us-east1", "us-east1", False, "pass"),
        (None, "europe-west1", "europe-west1", False, "pass"),
        (None, None, "us-east-1", False, "note"),
    ],
)
def test_region(own: str | None, bucket: str | None, used: str, amazon: bool, verdict: str) -> None:
    assert judge_region(own, bucket, used, amazon=amazon).verdict == verdict


@pytest.mark.parametrize(
    ("bind", "problem", "https", "verdict"),
    [
        ("127.0.0.1", "", True, "pass"),
        ("0.0.0.0", "", True, "note"),
        ("0.0.0.0", "", False, "pass"),
        ("192.0.2.1", "Cannot assign requested address", True, "fail"),
    ],
)
def test_port(bind: str, problem: str, https: bool, verdict: str) -> None:
    assert judge_port(bind, 8080, problem, https=https).verdict == verdict


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({}, {"": "pass"}),
        ({"OIDC_ISSUER": "https://login.example.com", "OIDC_CLIENT_ID": "x", "SESSION_LENGTH": "720"}, {"": "pass"}),
        ({"OIDC_ISSUER": "https://login.example.com"}, {"OIDC_CLIENT_ID": "fail"}),
        ({"OIDC_ISSUER": "http://login", "OIDC_CLIENT_ID": "x"}, {"OIDC_ISSUER": "fail"}),
        (
            {"OIDC_ISSUER": "https://l/.well-known/openid-configuration", "OIDC_CLIENT_ID": "x"},
            {"OIDC_ISSUER": "fail"},
        ),
        ({"OIDC_AUTH_METHOD": "code", "OIDC_ISSUER": "https://l", "OIDC_CLIENT_ID": "x"}, {"OIDC_AUTH_METHOD": "fail"}),
        ({"SESSION_LENGTH": "30d"}, {"SESSION_LENGTH": "fail"}),
        ({"LOCAL_RESTORE": "true"}, {"LOCAL_RESTORE": "warn"}),
        ({"GORILLA_X": " x"}, {"GORILLA_X": "fail"}),
        ({"gorilla": "x"}, {"gorilla": "note"}),
    ],
)
def test_environment(env: Mapping[str, str], expected: Mapping[str, str]) -> None:
    assert verdicts(judge_environment(env)) == expected


@pytest.mark.parametrize(
    ("cpus", "memory", "host_cpus", "host_memory", "expected"),
    [
        (4.0, 8 * GIB, 4, 16 * GIB, "pass pass"),
        # A machine of 8 GB shows 7.5 GiB.
        (4.0, 8 * GIB, 4, int(7.5 * GIB), "pass pass"),
        # What the host lacks of the guide's figures the area host tells.
        (4.0, 8 * GIB, 2, 4 * GIB, "pass pass"),
        (4.0, 32 * GIB, 4, 16 * GIB, "warn pass"),
        (4.0, 4 * GIB, 4, 16 * GIB, "warn pass"),
        (2.0, 8 * GIB, 4, 16 * GIB, "pass warn"),
    ],
)
def test_limits(cpus: float, memory: int, host_cpus: int, host_memory: int, expected: str) -> None:
    assert " ".join(each.verdict for each in judge_limits(cpus, memory, host_cpus, host_memory)) == expected


def test_who_may_write_to_the_volume() -> None:
    assert may_write(0o755, 999, 999, 999)
    assert may_write(0o770, 0, 0, 999)
    assert may_write(0o777, 0, 5, 999)
    assert not may_write(0o755, 0, 0, 999)
    assert not may_write(0o570, 999, 0, 999)


def test_directory_of_the_volume(tmp_path: Path) -> None:
    def look(path: Path) -> Finding:
        server = {"host": "https://wandb.example.com", "image": "wandb/local:0.83.0", "embedded": True}
        settings = Settings.model_validate({"server": {**server, "volume": str(path)}})
        assert settings.server is not None
        found = volume(settings.server)(Subject(settings, Scratch()))
        assert isinstance(found, Finding)
        return found

    missing = look(tmp_path / "vol")
    assert (missing.verdict, missing.remedy) == ("fail", f"install -d -o 999 -g 0 -m 0770 {tmp_path}/vol")
    tmp_path.chmod(0o700)
    assert (look(tmp_path).verdict, "with mode 0700" in look(tmp_path).found) == ("fail", True)
    tmp_path.chmod(0o777)
    assert look(tmp_path).verdict == "pass"


def test_space_of_the_volume() -> None:
    assert judge_space("it", "/v", Space(100 * GIB, 50 * GIB, 50 * GIB, 0, 0)).verdict == "pass"
    # When it is full the area host says so.
    assert judge_space("it", "/v", Space(100 * GIB, 100 * GIB, 5, 0, 0)).verdict == "pass"
    assert judge_space("it", "/v", None).verdict == "note"


@pytest.mark.parametrize(
    ("properties", "paused", "verdict", "said"),
    [
        ({"ActiveState": "active", "UnitFileState": "enabled", "StatusText": "serving"}, "", "pass", "serving"),
        ({"ActiveState": "active", "UnitFileState": "disabled"}, "", "warn", "not enabled"),
        ({"ActiveState": "inactive", "UnitFileState": "enabled"}, "", "fail", "stopped"),
        ({"ActiveState": "inactive"}, "PAUSED for 2h", "note", "PAUSED"),
        ({"ActiveState": "activating", "SubState": "start", "StatusText": "migrating"}, "", "warn", "migrating"),
        ({"ActiveState": "activating", "SubState": "auto-restart", "Result": "exit-code"}, "", "fail", "started again"),
        ({"ActiveState": "failed", "Result": "exit-code"}, "", "fail", "stays down"),
        ({"LoadState": "not-found"}, "", "fail", "there is no wandb-local.service"),
    ],
)
def test_unit(properties: Mapping[str, Any], paused: str, verdict: str, said: str) -> None:
    found = judge_unit(properties, paused)
    assert (found.verdict, said in found.found) == (verdict, True), found


def test_probes() -> None:
    assert judge_probe(Answer("/ready", True, 200, "ok", 0.01)).verdict == "pass"
    unready = judge_probe(Answer("/ready", False, 503, "database", 0.01))
    assert unready.verdict == "fail"
    assert "database" in unready.remedy
    assert judge_probe(Answer("/healthz", False, 0, "connection refused", 0.01)).verdict == "fail"


def test_container() -> None:
    assert judge_container([]).verdict == "pass"
    other = judge_container([Difference("memory", "4.00G", "8.00G")])
    assert other.verdict == "warn"
    assert "memory: 4.00G -> 8.00G" in other.found
    assert other.remedy == "systemctl restart wandb-local.service"
    away = judge_container([Difference("image", "a:1", "a:2 (NOT on this host)")], "a:2")
    assert away.remedy == "docker pull a:2 && systemctl restart wandb-local.service"
    # The area docker tells it, with what mends it without an outage.
    assert judge_container([Difference("restart policy", "always", "no")]).verdict == "pass"


def test_a_key_that_is_not_read_is_the_callers_lack_or_the_hosts() -> None:
    assert "run this as root" in judge_unread(PermissionError(13, "Permission denied", "/x/digest.key")).remedy
    assert "systemd-tmpfiles" in judge_unread(FileNotFoundError(2, "No such file", "/x/digest.key")).remedy
    assert judge_unread(OSError(5, "Input/output error", "/x/digest.key")).verdict == "fail"


def test_where_the_runner_keeps_its_history() -> None:
    assert judge_kept(Kept("/x", directory=True, group=7)).verdict == "pass"
    assert "is missing" in judge_kept(Kept("/x")).found
    assert "cannot write in /x" in judge_kept(Kept("/x", directory=True, group=5)).found


@given(st.binary(max_size=60))
def test_any_acl_gives_the_group_no_more_than_its_mask(acl: bytes) -> None:
    assert group_permissions(0o42750, acl) & ~0o5 == 0


def test_the_groups_own_entry_is_what_counts() -> None:
    entries = ((1, 7), (4, 5), (8, 5), (16, 7), (32, 0))
    acl = b"\2\0\0\0" + b"".join(struct.pack("<HHI", tag, permissions, 0) for tag, permissions in entries)
    assert group_permissions(0o42770, acl) == 5
    assert group_permissions(0o42770, b"") == 7


def test_log() -> None:
    lines = ["*** starting", "panic: NoSuchBucket"]
    assert judge_log(lines, ready=False).verdict == "fail"
    assert judge_log(lines, ready=True).verdict == "warn"
    assert "create the bucket" in judge_log(lines, ready=False).remedy
    assert judge_log(["*** All services started"], ready=True).verdict == "pass"


def test_restarts() -> None:
    now = NOW.timestamp()

    def record(days_ago: float, reason: Reason, detail: str = "it ended") -> Record:
        return Record(now - days_ago * DAY, reason, detail, "run", container=f"c{days_ago}")

    def ended(days_ago: float) -> list[Record]:
        return [record(days_ago, Reason.EXITED), record(days_ago - 60 / DAY, Reason.READY)]

    assert judge_restarts((), now).verdict is Verdict.NOTE
    old = [record(20, Reason.READY), *ended(9)]
    assert judge_restarts(old, now).verdict is Verdict.PASS
    once = judge_restarts([*old, *ended(2)], now)
    assert once.verdict is Verdict.NOTE
    assert "once in the last week, users were without it for 1min;" in once.found
    often = judge_restarts([*old, *ended(3), *ended(2), *ended(1)], now)
    assert often.verdict is Verdict.WARN
    assert "3 times" in often.found
    assert "without it for 3min;" in often.found
    stopped = [*old, record(1, Reason.STOPPED), record(0.9, Reason.READY)]
    assert judge_restarts(stopped, now).verdict is Verdict.PASS


def test_a_host_without_a_server_has_one_note() -> None:
    (only,) = checks(Settings())
    assert only.name == "server"
