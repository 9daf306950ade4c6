"""What a restart would change: each setting by its name, no secret, and nothing that comes from the image itself."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.unit.server.test_specification import settings
from wbagent.server.diff import Difference, differences, restart_needed, wanted_digests
from wbagent.server.history import Reason, Record
from wbagent.server.specification import Specification, specification

IMAGE = {"Id": "sha256:one", "Config": {"User": "999:0", "Env": ["PATH=/bin", "HOME=/vol"]}}


def running(spec: Specification) -> dict[str, Any]:
    """As `docker inspect` tells of a container made from it: with what the image adds."""
    config = copy.deepcopy(spec.config)
    host = config.pop("HostConfig")
    config["Env"] += IMAGE["Config"]["Env"]  # type: ignore[index]
    config.setdefault("User", "999:0")
    return {"Image": "sha256:one", "Config": config, "HostConfig": host}


def changed(image_id: str | None = "sha256:one", **changes: Any) -> tuple[Difference, ...]:
    container = running(specification(settings(license="LICENCE"), systemd_cgroups=True))
    wanted = specification(settings(**({"license": "LICENCE"} | changes)), systemd_cgroups=True)
    return differences(container, IMAGE, wanted, image_id)


def test_the_same_settings_differ_in_nothing() -> None:
    assert changed() == ()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"image": "wandb/local:0.84.0"}, "image: wandb/local:0.83.0 -> wandb/local:0.84.0"),
        ({"mysql": "mysql://wandb_local:other@db1/wandb_local"}, "environment MYSQL: changed"),
        ({"license": None}, "environment LICENSE: removed"),
        ({"env": {"OIDC_SECRET": "s3cret"}}, "environment OIDC_SECRET: added"),
        ({"memory": "16G"}, "memory: 8.00G -> 16.0G"),
        ({"cpus": 2.5}, "processors: 4 -> 2.5"),
        ({"port": 9090}, "port: 0.0.0.0:8080 -> 0.0.0.0:9090"),
        ({"bind": "127.0.0.1"}, "port: 0.0.0.0:8080 -> 127.0.0.1:8080"),
        ({"volume": "/srv/wandb"}, "volume: wandb:/vol -> /srv/wandb:/vol"),
        ({"user": "100000:0"}, "user: 999:0 -> 100000:0"),
        ({"stop_timeout": "2m"}, "stop timeout: 60s -> 120s"),
        ({"ulimits": {"nofile": 1024}}, "limits of processes: none -> nofile=1024:1024"),
    ],
)
def test_each_change_has_a_name_and_shows_no_secret(changes: dict[str, Any], says: str) -> None:
    assert [one.sentence() for one in changed(**changes)] == [says]


def test_an_image_pulled_anew_under_the_same_name_is_a_change() -> None:
    assert [one.name for one in changed("sha256:two")] == ["image"]


def test_an_image_that_is_gone_is_told() -> None:
    assert "a restart would fail" in changed(None)[0].sentence()
    assert "NOT on this host" in changed(None, image="wandb/local:0.84.0")[0].sentence()


def test_a_limit_that_docker_dropped_is_not_called_a_difference() -> None:
    container = running(specification(settings(), systemd_cgroups=True))
    container["HostConfig"] |= {"Memory": 0, "CpuPeriod": 0, "CpuQuota": 0}
    wanted = specification(settings(memory="16G", stop_timeout="2m"), systemd_cgroups=True)
    found = differences(container, IMAGE, wanted, "sha256:one", {"memory", "processors"})
    assert [one.name for one in found] == ["stop timeout"]
    only_limits = specification(settings(memory="16G"), systemd_cgroups=True)
    [one] = differences(container, IMAGE, only_limits, "sha256:one", {"memory", "processors"})
    assert "limits of memory and processors that this kernel cannot set were changed" in one.sentence()


def test_a_container_of_another_release_is_never_called_the_same() -> None:
    spec = specification(settings(), systemd_cgroups=True)
    older = running(spec)
    older["Config"]["Labels"]["wbagent.specification"] = "older"
    assert [one.name for one in differences(older, IMAGE, spec, "sha256:one")] == ["specification"]


def ready(digest: str, *, cgroups: bool) -> Record:
    return Record(1.0, Reason.READY, "ready", "id", digest=digest, systemd_cgroups=cgroups)


@pytest.mark.parametrize("cgroups", [False, True])
def test_a_restart_is_needed_only_by_a_server_that_runs_with_other_settings(cgroups: bool) -> None:
    runs = ready(specification(settings(), systemd_cgroups=cgroups).digest, cgroups=cgroups)
    same, other = wanted_digests(settings(), b""), wanted_digests(settings(memory="9G"), b"")
    stopped = Record(2.0, Reason.STOPPED, "stopped", "id")
    assert not restart_needed([], other)
    assert not restart_needed([runs], same)
    assert restart_needed([stopped, runs], other)
    assert not restart_needed([runs, stopped], other)
    assert not restart_needed([ready("", cgroups=cgroups)], other)
    assert not restart_needed([runs], {})
    assert not restart_needed([ready(f"{runs.digest}-closed", cgroups=cgroups)], same)
    assert restart_needed([ready(f"{runs.digest}-closed", cgroups=cgroups)], other)
