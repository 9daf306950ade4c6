"""The container's request: the guide's names, nothing that lets Docker restart it, and a hash that tells changes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from wbagent.config.server import ServerSettings
from wbagent.server.specification import environment, specification

BASE: dict[str, Any] = {
    "host": "https://wandb.example.com",
    "image": "wandb/local:0.83.0",
    "bucket": "s3://KEY:a%2Fb@minio:9000/files?region=us-west-2",
    "mysql": "mysql://wandb_local:p%2Bw@db1/wandb_local",
}

AUTHORITY = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


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


def test_a_closed_server_is_another_container_without_a_port() -> None:
    opened = specification(settings(), systemd_cgroups=True)
    closed = opened.unpublished()
    assert closed.config["HostConfig"]["PortBindings"] == {}
    assert closed.config["Labels"]["wbagent.specification"] == closed.digest != opened.digest
    assert closed.config["Env"] == opened.config["Env"]


def test_further_environment_passes_through() -> None:
    assert environment(settings(env={"OIDC_ISSUER": "https://i"}, redis="redis://r:6379"))["OIDC_ISSUER"] == "https://i"
    assert environment(settings(env={"BUCKET_QUEUE": "sqs://q"}))["BUCKET_QUEUE"] == "sqs://q"


def test_an_embedded_server_is_given_no_database_no_bucket_and_many_files() -> None:
    own = ServerSettings.model_validate({"host": "https://w", "image": "wandb/local:0.83.0", "embedded": True})
    assert environment(own) == {"HOST": "https://w", "BUCKET_QUEUE": "internal://", "AWS_REGION": "us-east-1"}
    host = specification(own, systemd_cgroups=True).config["HostConfig"]
    assert host["Ulimits"] == [{"Name": "nofile", "Soft": 262144, "Hard": 262144}]
    fewer = own.model_copy(update={"ulimits": {"nofile": "1024:2048"}})
    host = specification(fewer, systemd_cgroups=True).config["HostConfig"]
    assert host["Ulimits"] == [{"Name": "nofile", "Soft": 1024, "Hard": 2048}]


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
        {"mysql": "mysql://wandb_local:other@db1/wandb_local"}, {"ulimits": {"nofile": 1024}},
    ]  # fmt: skip
    digests = {specification(settings(**change), systemd_cgroups=True).digest for change in changes}
    assert len(digests | {same}) == len(changes) + 1


def test_limits_of_processes_and_certificates(tmp_path: Path) -> None:
    authority = tmp_path / "private-ca.pem"
    authority.write_text(AUTHORITY)
    host = specification(
        settings(ulimits={"nproc": 4096, "nofile": "1024:-1"}, ca_certificates=[str(authority)]), systemd_cgroups=True
    ).config["HostConfig"]
    assert host["Ulimits"] == [
        {"Name": "nofile", "Soft": 1024, "Hard": -1},
        {"Name": "nproc", "Soft": 4096, "Hard": 4096},
    ]
    target = "/usr/local/share/ca-certificates/wbagent-0.crt"
    assert host["Mounts"] == [{"Type": "bind", "Source": str(authority), "Target": target, "ReadOnly": True}]
    assert not {"Ulimits", "Mounts"} & specification(settings(), systemd_cgroups=True).config["HostConfig"].keys()


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ({"files": 1}, '"files" is no limit that Docker knows: core, cpu'),
        ({"nofile": "many"}, 'nofile: expected "SOFT:HARD"'),
        ({"nofile": True}, 'nofile: expected "SOFT:HARD"'),
        ({"nofile": "2:1"}, "the soft limit 2 is above the hard limit 1"),
        ({"nofile": "-1:1"}, "the soft limit -1 is above the hard limit 1"),
    ],
)
def test_limits_that_docker_would_refuse(limits: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        settings(ulimits=limits)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "there is no such file"),
        (b"", "holds no certificate in PEM form"),
        (b"\x30\x82\xff\xfe", "cannot be read as text"),
        (b"-----BEGIN PRIVATE KEY-----\n", "holds a private key, which must not get into the container"),
    ],
)
def test_certificates_that_the_server_could_not_use(tmp_path: Path, content: bytes | None, told: str) -> None:
    file = tmp_path / "ca.crt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(f"{file}: {told}")):
        settings(ca_certificates=[str(file)])
    with pytest.raises(ValueError, match="expected an absolute path"):
        settings(ca_certificates=["ca.crt"])


def test_no_label_holds_a_secret() -> None:
    labels = json.dumps(specification(settings(license="LICENCE"), systemd_cgroups=True).config["Labels"])
    assert not [secret for secret in ("a/b", "a%2Fb", "p+w", "p%2Bw", "LICENCE") if secret in labels]


@pytest.mark.parametrize("user", ["0", "1000", "1000:0", "100000", "100000:100000", "root"])
def test_users_that_the_image_does_not_support(user: str) -> None:
    with pytest.raises(ValueError, match="100000"):
        settings(user=user)
