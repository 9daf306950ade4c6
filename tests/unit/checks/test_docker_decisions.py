"""What is said of a Docker daemon and its containers: each verdict once for the right reason."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from wbagent.checks.check import Finding, Verdict
from wbagent.checks.docker import checks, container, daemon, image
from wbagent.checks.docker.look import Daemon, Judge, not_there
from wbagent.config import Settings
from wbagent.config.dsn import MysqlURL
from wbagent.config.model import DatabaseSettings
from wbagent.server.specification import HASH_LABEL

GOOD: dict[str, Any] = {
    "LiveRestoreEnabled": True,
    "Plugins": {"Log": ["json-file", "journald"]},
    "Driver": "overlay2",
    "DockerRootDir": "/var/lib/docker",
    "CgroupVersion": "2",
    "CgroupDriver": "systemd",
    "MemoryLimit": True,
    "CpuCfsQuota": True,
    "SecurityOptions": ["name=seccomp,profile=builtin", "name=cgroupns"],
}


def made(version: str = "26.1.5+dfsg1", containers: dict[str, Any] | None = None, **info: Any) -> Daemon:
    return Daemon(GOOD | info, {"Version": version}, containers or {})


def found(judge: Judge, about: Daemon) -> list[Finding]:
    judged = judge(about, Settings())
    return [judged] if isinstance(judged, Finding) else list(judged)


def verdicts(findings: Iterable[Finding]) -> list[str]:
    return [finding.verdict.value for finding in findings]


@pytest.mark.parametrize(
    ("version", "verdict"),
    [
        ("26.1.5+dfsg1", "pass"),
        ("20.10.10", "pass"),
        ("20.10.9", "fail"),
        ("19.03.15", "fail"),
        ("20.10.5+dfsg1", "fail"),
        ("library-import", "note"),
    ],
)
def test_version(version: str, verdict: str) -> None:
    assert verdicts(found(daemon.version, made(version))) == [verdict]


@pytest.mark.parametrize(
    ("judge", "info", "verdict", "said"),
    [
        (daemon.live_restore, {}, "pass", "on"),
        (daemon.live_restore, {"LiveRestoreEnabled": False}, "warn", "off"),
        (daemon.live_restore, {"LiveRestoreEnabled": False, "Swarm": {"LocalNodeState": "active"}}, "note", "Swarm"),
        (daemon.log_driver, {}, "pass", "journald"),
        (daemon.log_driver, {"Plugins": {"Log": ["json-file"]}}, "fail", "no log driver journald"),
        (daemon.storage, {}, "pass", "overlay2 in /var/lib/docker"),
        (daemon.storage, {"Driver": "vfs"}, "warn", "whole copy"),
        (daemon.storage, {"Driver": "aufs"}, "warn", "aufs"),
        (daemon.limits, {}, "pass", "memory and processors"),
        (daemon.limits, {"MemoryLimit": False}, "warn", "cannot limit memory"),
        (daemon.limits, {"CgroupVersion": "1", "CgroupDriver": "cgroupfs"}, "note", "cgroup v1"),
        (daemon.limits, {"CgroupDriver": "cgroupfs"}, "note", "wandb.slice"),
        (daemon.limits, {"SecurityOptions": ["name=rootless"]}, "fail", "rootless"),
    ],
)
def test_settings_of_the_daemon(judge: Judge, info: dict[str, Any], verdict: str, said: str) -> None:
    first = found(judge, made(**info))[0]
    assert (first.verdict, said in first.found) == (verdict, True)


def test_what_a_reload_does_not_take_is_mended_by_a_restart() -> None:
    """SIGHUP makes dockerd take live-restore, and leaves its cgroup driver."""
    (driver,) = found(daemon.limits, made(CgroupDriver="cgroupfs"))
    assert driver.remedy.endswith("systemctl restart docker && systemctl start wandb-local")
    (restore,) = found(daemon.live_restore, made(LiveRestoreEnabled=False))
    assert restore.remedy.endswith("systemctl reload docker")


@pytest.mark.parametrize(
    ("states", "verdict"),
    [
        ({"docker.service": "enabled", "docker.socket": "enabled"}, "pass"),
        ({"docker.service": "disabled", "docker.socket": "enabled"}, "pass"),
        ({"docker.service": "disabled", "docker.socket": "disabled"}, "warn"),
        ({"docker.service": "masked", "docker.socket": ""}, "warn"),
    ],
)
def test_start_at_boot(states: dict[str, str], verdict: str) -> None:
    assert daemon.judge_start(states).verdict == verdict


def inspected(driver: str = "journald", config: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    return {
        "Created": "2026-11-26T12:00:00.123456789Z",
        "Path": "/sbin/my_init",
        "Config": {"Image": "wandb/local:0.83.0", "Labels": {}, "Env": ["TOKEN=SECRET"]},
        "State": {"Running": True, "Status": "running"},
        "HostConfig": {"LogConfig": {"Type": driver, "Config": config or {}}},
    } | more


def test_logs_of_others_have_an_end() -> None:
    fine = {"a": inspected(), "b": inspected("json-file", {"max-size": "10m"}), "c": inspected("local")}
    assert verdicts(found(container.other_logs, made(containers=fine))) == ["pass"]
    endless = {f"c{number}": inspected("json-file", {"max-file": "3"}) for number in range(7)}
    [told] = found(container.other_logs, made(containers=fine | endless))
    assert (told.verdict, "c0, c1, c2, c3, c4 and 2 more" in told.found) == (Verdict.WARN, True)


def test_whose_the_container_is() -> None:
    assert verdicts(found(container.own, made())) == ["pass"]
    labels: dict[str, Any] = {"Config": {"Image": "wandb/local:0.83.0", "Labels": {HASH_LABEL: "abc"}}}
    assert verdicts(found(container.own, made(containers={"wandb-local": inspected(**labels)}))) == ["pass"]
    always = labels | {"HostConfig": {"RestartPolicy": {"Name": "always"}}}
    [told] = found(container.own, made(containers={"wandb-local": inspected(**always)}))
    assert (told.verdict, told.remedy) == (Verdict.WARN, "docker update --restart=no wandb-local")
    [told] = found(container.own, made(containers={"wandb-local": inspected()}))
    assert (told.verdict, "did not make" in told.found, "SECRET" in repr(told)) == (Verdict.FAIL, True, False)


@pytest.mark.parametrize(
    ("platforms", "verdict"),
    [(["linux/amd64"], "pass"), (["linux/arm64", "linux/amd64"], "pass"), (["linux/arm64"], "fail")],
)
def test_platform_of_the_image(platforms: list[str], verdict: str) -> None:
    assert image.judge_platforms("wandb/local:0.83.0", platforms).verdict == verdict


def test_an_image_that_is_not_on_this_host() -> None:
    there = image.judge_pullable("wandb/local:0.83.0")
    assert (there.verdict, there.remedy) == (Verdict.WARN, "docker pull wandb/local:0.83.0")
    nowhere = image.judge_unreachable("wandb/local:0.83.0", "its registry has no such image")
    assert (nowhere.verdict, "no such image" in nowhere.found) == (Verdict.FAIL, True)


@pytest.mark.parametrize(("installed", "remedy"), [(True, "systemctl enable"), (False, "apt install docker.io")])
def test_no_docker(installed: bool, remedy: str) -> None:
    told = not_there(installed=installed)
    assert (told.verdict, remedy in told.remedy) == (Verdict.FAIL, True)


def test_a_database_host_needs_no_docker() -> None:
    url = MysqlURL("wandb_backup", "PASSWORD", "127.0.0.1", 3306, "wandb_local")
    settings = Settings(database=DatabaseSettings(url=url))
    assert [check.name for check in checks(settings)] == ["daemon"]
    assert len(checks(Settings())) > 5
