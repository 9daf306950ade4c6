"""The only place that speaks to Docker: find, create, start, await, read and remove the one container."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Self

import docker
import docker.errors
import requests.exceptions

from wbagent.errors import DockerError
from wbagent.server.specification import CONTAINER_PORT, HASH_LABEL, NAME, Specification

SOCKET: Final = "unix:///run/docker.sock"
# Longer than any one answer of a busy daemon takes; waits for a container's end have no limit of their own.
_TIMEOUT_S: Final = 30


class DockerAwayError(DockerError):
    """The daemon itself does not answer; nothing follows from this about the container."""


@dataclass(frozen=True, slots=True)
class Found:
    """A container under our name. `digest` is None when wbagent did not create it; `addresses` are where it listens."""

    id: str
    image: str
    created: str
    running: bool
    digest: str | None
    addresses: tuple[tuple[str, int], ...]
    exit_code: int
    oom_killed: bool
    error: str


class Docker:
    """A connection to the Docker daemon. Every method raises DockerAwayError or DockerError."""

    def __init__(self, base_url: str = SOCKET) -> None:
        with _translated("connect"):
            # version="auto": Docker 20.10 knows no API above 1.41, and Docker 29 none below 1.44.
            self._api = docker.APIClient(base_url=base_url, version="auto", timeout=_TIMEOUT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._api.close()

    def systemd_cgroups(self) -> bool:
        """Whether the daemon's cgroup driver is systemd, so that a slice can hold the container."""
        with _translated("read the daemon's settings"):
            return bool(self._api.info()["CgroupDriver"] == "systemd")

    def find(self, name: str = NAME) -> Found | None:
        """The container of that name or id, running or not."""
        try:
            with _translated("inspect the container"):
                return _found(self._api.inspect_container(name))
        except docker.errors.NotFound:
            return None

    def create(self, specification: Specification) -> str:
        """Create the container; its id. DockerError says so when the image is not on this host."""
        try:
            with _translated("create the container"):
                # types-docker leaves this method without annotations.
                created = self._api.create_container_from_config(specification.config, NAME)  # type: ignore[no-untyped-call]
                return str(created["Id"])
        except docker.errors.NotFound:
            raise DockerError(
                f"the image {specification.image} is not on this host",
                hint=f"docker pull {specification.image}  (or, without a registry: docker load --input FILE)",
            ) from None

    def start(self, container: str) -> None:
        """Start it; DockerError names a port that is taken."""
        with _translated("start the container"):
            self._api.start(container)

    def wait(self, container: str) -> int | None:
        """Block until it ends; its exit code, or None when it was removed meanwhile."""
        try:
            with _translated("wait for the container"):
                return int(self._api.wait(container, timeout=None)["StatusCode"])
        except docker.errors.NotFound:
            return None

    def stop(self, container: str, grace: float) -> None:
        """SIGTERM, and SIGKILL after `grace` seconds; it may be gone already."""
        with _translated("stop the container"), _gone_is_fine():
            self._api.stop(container, timeout=round(grace))

    def last_log_lines(self, container: str, count: int = 50) -> tuple[str, ...]:
        """Its last lines of output; empty when Docker cannot tell (then the journal can)."""
        try:
            with _translated("read the container's log"):
                text = self._api.logs(container, stdout=True, stderr=True, tail=count)
        except (DockerError, docker.errors.NotFound):
            return ()
        return tuple(line[:500] for line in text.decode(errors="replace").splitlines())

    def remove(self, container: str) -> None:
        """Remove it with its anonymous volumes, killing it when it runs; it may be gone already."""
        with _translated("remove the container"), _gone_is_fine():
            self._api.remove_container(container, v=True, force=True)


def _found(details: dict[str, Any]) -> Found:
    state, config, network = details["State"], details["Config"], details["NetworkSettings"]
    published = [
        ("127.0.0.1" if binding["HostIp"] in {"0.0.0.0", "::", ""} else binding["HostIp"], int(binding["HostPort"]))
        for binding in (network.get("Ports") or {}).get(CONTAINER_PORT) or ()
    ]
    inner_port = int(CONTAINER_PORT.partition("/")[0])
    own = [net["IPAddress"] for net in (network.get("Networks") or {}).values() if net.get("IPAddress")]
    return Found(
        id=details["Id"],
        image=config["Image"],
        created=details["Created"],
        running=bool(state["Running"]),
        digest=(config.get("Labels") or {}).get(HASH_LABEL),
        addresses=tuple(dict.fromkeys([*published, *((address, inner_port) for address in own)])),
        exit_code=int(state["ExitCode"]),
        oom_killed=bool(state["OOMKilled"]),
        error=state.get("Error") or "",
    )


@contextmanager
def _translated(doing: str) -> Iterator[None]:
    """Turn the SDK's errors into ours; NotFound passes, since each caller means something else by it."""
    try:
        yield
    except docker.errors.NotFound:
        raise
    except docker.errors.APIError as error:
        raise DockerError(f"Docker refused to {doing}: {error.explanation or error}", hint="docker info") from None
    except (docker.errors.DockerException, requests.exceptions.RequestException, OSError) as error:
        raise DockerAwayError(
            f"cannot reach Docker to {doing}: {type(error).__name__}", hint="systemctl status docker.service"
        ) from None


@contextmanager
def _gone_is_fine() -> Iterator[None]:
    try:
        yield
    except docker.errors.NotFound:
        return
