"""The container's request: the guide's names, nothing that lets Docker restart it, and a hash that tells changes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from wbagent.config.model import ServerSettings
from wbagent.server.specification import environment, specification

BASE: dict[str, Any] = {
    "host": "https://wandb.example.com",
    "image": "wandb/local:0.83.0",
    "bucket": "s3://KEY:a%2Fb@minio:9000/files?region=us-west-2",
    "mysql": "mysql://wandb_local:p%2Bw@db1/wandb_local",
}


def settings(**changes: Any) -> ServerSettings:
    return ServerSettings.model_validate(BASE | changes)


def test_the_environment_has_exactly_the_guides_names() -> None:
    assert environment(settings(license="LICENCE")) == {
        "HOST": "https://wandb.example.com",
        "LICENSE": "LICENCE",
        "BUCKET": "s3://KEY:a%2Fb@minio:9000/files?region=us-west-2",
        "BUCKET_QUEUE": "internal://",
        "AWS_REGION": "us-west-2",
        "MYSQL": "mysql://wandb_local:p%2Bw@db1:3306/wandb_local",
    }


def test_further_environment_passes_through() -> None:
    assert environment(settings(env={"OIDC_ISSUER": "https://i"}, redis="redis://r:6379"))["OIDC_ISSUER"] == "https://i"
    assert environment(settings(env={"BUCKET_QUEUE": "sqs://q"}))["BUCKET_QUEUE"] == "sqs://q"


def test_the_request() -> None:
    config = specification(settings(user="100000:0"), systemd_cgroups=True).config
    host = config["HostConfig"]
    assert config["Image"] == "wandb/local:0.83.0"
    assert config["User"] == "100000:0"
    assert config["Labels"]["OBJECT_SYSTEMD_UNIT"] == "wandb-local.service"
    assert host["RestartPolicy"] == {"Name": "no"}
    assert host["PortBindings"] == {"8080/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}]}
    assert (host["CpuQuota"] / host["CpuPeriod"], host["Memory"]) == (4, 8 * 1024**3)
    assert host["LogConfig"]["Type"] == "journald"
    assert host["CgroupParent"] == "wandb.slice"
    assert "CgroupParent" not in specification(settings(), systemd_cgroups=False).config["HostConfig"]


def test_the_hash_tells_every_change_and_nothing_else() -> None:
    same = specification(settings(), systemd_cgroups=True).digest
    assert specification(settings(), systemd_cgroups=True).digest == same
    changes: list[dict[str, Any]] = [
        {"image": "wandb/local:0.82.0"}, {"memory": "9G"}, {"port": 8081}, {"env": {"A": "b"}}, {"license": "x"},
        {"mysql": "mysql://wandb_local:other@db1/wandb_local"},
    ]  # fmt: skip
    digests = {specification(settings(**change), systemd_cgroups=True).digest for change in changes}
    assert len(digests | {same}) == len(changes) + 1


def test_no_label_holds_a_secret() -> None:
    labels = json.dumps(specification(settings(license="LICENCE"), systemd_cgroups=True).config["Labels"])
    assert not [secret for secret in ("a/b", "a%2Fb", "p+w", "p%2Bw", "LICENCE") if secret in labels]


@pytest.mark.parametrize("user", ["0", "1000", "1000:0", "100000", "100000:100000", "root"])
def test_users_that_the_image_does_not_support(user: str) -> None:
    with pytest.raises(ValueError, match="100000"):
        settings(user=user)
