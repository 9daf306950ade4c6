"""What the wandb/local container is to be, in the words of Docker's API, and a hash to know it again by."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from wbagent.systemd.unit_names import SERVER_UNIT

if TYPE_CHECKING:
    # Only its shape is needed here; pydantic takes 100 ms to import, and every end of the server comes by here.
    from wbagent.config.server import ServerSettings

NAME: Final = "wandb-local"
SLICE: Final = "wandb.slice"
CONTAINER_PORT: Final = "8080/tcp"
_CPU_PERIOD_US: Final = 100_000
# Where the image looks for them: its start runs update-ca-certificates (wandb/helm-charts #251, #255).
CA_DIRECTORY: Final = "/usr/local/share/ca-certificates"
# What W&B asks for the mysqld that an embedded server runs.
_EMBEDDED_ULIMITS: Final = {"nofile": "262144:262144"}
# What the hash of a container without its port ends in.
CLOSED: Final = "-closed"
HASH_LABEL: Final = "wbagent.specification"
# The journal takes OBJECT_SYSTEMD_UNIT as "this line is about that unit", so `journalctl -u` shows it (sd-journal).
UNIT_LABEL: Final = "OBJECT_SYSTEMD_UNIT"


@dataclass(frozen=True, slots=True)
class Specification:
    """The body of POST /containers/create, and its keyed hash. The environment in it holds secrets: never log it."""

    config: dict[str, Any]
    digest: str

    @property
    def image(self) -> str:
        """The image's name with its tag or digest."""
        return str(self.config["Image"])

    def unpublished(self) -> Specification:
        """The same container, but no port of this host leads to it (`wbagent.server.door`)."""
        digest = f"{self.digest}{CLOSED}"
        host = self.config["HostConfig"] | {"PortBindings": {}}
        labels = self.config["Labels"] | {HASH_LABEL: digest}
        return Specification(self.config | {"HostConfig": host, "Labels": labels}, digest)


def specification(settings: ServerSettings, *, systemd_cgroups: bool, key: bytes = b"") -> Specification:
    """The guide's `docker run` line as a request, with the restart policy "no": systemd owns restarts.

    `systemd_cgroups`: whether Docker's cgroup driver is systemd; only then a slice can hold the container. `key` is
    this host's `digest_key()`.
    """
    bindings = [{"HostIp": settings.bind, "HostPort": str(settings.port)}]
    host_config: dict[str, Any] = {
        "Binds": [f"{settings.volume}:/vol"],
        "PortBindings": {CONTAINER_PORT: bindings},
        "RestartPolicy": {"Name": "no"},
        # Not NanoCpus: Docker refuses that outright on a host with fewer processors, or whose kernel cannot limit them.
        "CpuPeriod": _CPU_PERIOD_US,
        "CpuQuota": round(settings.cpus * _CPU_PERIOD_US),
        "Memory": settings.memory,
        "LogConfig": {"Type": "journald", "Config": {"tag": NAME, "labels": UNIT_LABEL}},
    }
    if systemd_cgroups:
        host_config["CgroupParent"] = SLICE
    if limits := (_EMBEDDED_ULIMITS if settings.embedded else {}) | settings.ulimits:
        host_config["Ulimits"] = _ulimits(limits)
    if settings.ca_certificates:
        # Not in Binds: for a file that is not there Docker would make a directory of that name.
        host_config["Mounts"] = [
            # update-ca-certificates(8) takes nothing that does not end in ".crt".
            {"Type": "bind", "Source": str(path), "Target": f"{CA_DIRECTORY}/wbagent-{number}.crt", "ReadOnly": True}
            for number, path in enumerate(settings.ca_certificates)
        ]
    config: dict[str, Any] = {
        "Image": settings.image,
        "Env": [f"{name}={value}" for name, value in sorted(environment(settings).items())],
        "ExposedPorts": {CONTAINER_PORT: {}},
        "StopTimeout": round(settings.stop_timeout),
        "HostConfig": host_config,
    }
    if settings.user is not None:
        config["User"] = settings.user
    import hashlib  # noqa: PLC0415 - 4 ms; the runner has the digest at hand

    digest = hashlib.blake2b(json.dumps(config, sort_keys=True).encode(), key=key, digest_size=8).hexdigest()
    config["Labels"] = {UNIT_LABEL: SERVER_UNIT, HASH_LABEL: digest}
    return Specification(config, digest)


def _ulimits(limits: Mapping[str, str]) -> list[dict[str, Any]]:
    pairs = {name: limit.split(":") for name, limit in sorted(limits.items())}
    return [{"Name": name, "Soft": int(soft), "Hard": int(hard)} for name, (soft, hard) in pairs.items()]


def environment(settings: ServerSettings) -> dict[str, str]:
    """The container's environment: exactly the guide's names, then whatever [server.env] adds.

    Without MYSQL and BUCKET (embedded) the image runs its own.
    """
    names = {"HOST": settings.host, "BUCKET_QUEUE": "internal://", "AWS_REGION": settings.aws_region}
    if settings.bucket is not None:
        names["BUCKET"] = str(settings.bucket)
    if settings.mysql is not None:
        names["MYSQL"] = str(settings.mysql)
    if settings.license is not None:
        names["LICENSE"] = settings.license.get_secret_value()
    if settings.redis is not None:
        names["REDIS"] = str(settings.redis)
    return names | settings.env
