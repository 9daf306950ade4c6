"""The only place that speaks to Docker: find, create, start, await, read and remove the one container."""

from __future__ import annotations

import http
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Self

import docker
import docker.errors
import requests.exceptions

from wbagent.errors import DockerError
from wbagent.server.specification import CONTAINER_PORT, HASH_LABEL, NAME, Specification

SOCKET: Final = "unix:///run/docker.sock"
# Longer than any one answer of a busy daemon takes; waits for a container's end have no limit of their own.
_TIMEOUT_S: Final = 30
# As long as a daemon that its socket starts may need for its first answer; a stop shall not wait for more.
_PING_S: Final = 15
# What Docker says of it differs between its own table of ports, docker-proxy and the kernel.
_PORT_TAKEN: Final = re.compile("port is already allocated|address already in use")


class DockerAwayError(DockerError):
    """The daemon itself does not answer; nothing follows from this about the container."""


class ImageMissingError(DockerError):
    """The image is not on this host."""


class PortTakenError(DockerError):
    """Another program listens on the port."""


class ForeignContainerError(DockerError):
    """A container under our name that somebody else made; it is left alone."""


class SpecificationRefusedError(DockerError):
    """Docker will not make such a container: a setting of ours makes no sense to it."""


@dataclass(frozen=True, slots=True)
class Found:
    """A container under our name. `digest` is None when wbagent did not create it; `addresses` are where it listens.

    `removing` is set while somebody is removing it.
    """

    id: str
    image: str
    created: str
    running: bool
    digest: str | None
    addresses: tuple[tuple[str, int], ...]
    exit_code: int
    oom_killed: bool
    error: str
    removing: bool = False


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

    def ping(self) -> None:
        """DockerAwayError when the daemon does not answer within seconds: it may be gone, or hang."""
        patience, self._api.timeout = self._api.timeout, _PING_S
        try:
            with _translated("ask whether it is there"):
                self._api.ping()
        finally:
            self._api.timeout = patience

    def systemd_cgroups(self) -> bool:
        """Whether the daemon's cgroup driver is systemd, so that a slice can hold the container."""
        with _translated("read the daemon's settings"):
            return bool(self._api.info()["CgroupDriver"] == "systemd")

    def unlimited(self) -> frozenset[str]:
        """Which limits Docker drops, since the kernel cannot set them: "memory", "processors"."""
        with _translated("read the daemon's settings"):
            info = self._api.info()
        limits = {"memory": "MemoryLimit", "processors": "CpuCfsQuota"}
        return frozenset(name for name, key in limits.items() if not info.get(key))

    def find(self, name: str = NAME) -> Found | None:
        """The container of that name or id, running or not."""
        try:
            with _translated("inspect the container"):
                return _found(self._api.inspect_container(name))
        except docker.errors.NotFound:
            return None

    def inspect(self, name: str = NAME) -> dict[str, Any] | None:
        """Everything that Docker tells of the container; it holds secrets."""
        with _translated("inspect the container"), _gone_is_fine():
            details: dict[str, Any] = self._api.inspect_container(name)
            return details
        return None

    def inspect_image(self, name: str) -> dict[str, Any] | None:
        """Everything that Docker tells of the image of that name or id; None when it is not on this host."""
        with _translated("inspect the image"), _gone_is_fine():
            # types-docker leaves this method without annotations.
            details: dict[str, Any] = self._api.inspect_image(name)  # type: ignore[no-untyped-call]
            return details
        return None

    def create(self, specification: Specification) -> str:
        """Create the container; its id. Raises ImageMissingError, SpecificationRefusedError."""
        try:
            with _translated("create the container", SpecificationRefusedError):
                # types-docker leaves this method without annotations.
                created = self._api.create_container_from_config(specification.config, NAME)  # type: ignore[no-untyped-call]
                return str(created["Id"])
        except docker.errors.NotFound:
            raise ImageMissingError(
                f"the image {specification.image} is not on this host",
                hint=f"docker pull {specification.image}  (or, without a registry: docker load --input FILE)",
            ) from None

    def start(self, container: str) -> None:
        """Start it. Raises PortTakenError, SpecificationRefusedError."""
        with _translated("start the container", SpecificationRefusedError):
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

    def signals_sent(self, container: str, within: float) -> tuple[str, ...]:
        """The numbers of the signals that were sent to it through Docker in the last `within` seconds, oldest first.

        Only while this daemon lived: it keeps its events in memory.
        """
        now = time.time()
        with _translated("read its events"):
            # types-docker knows whole seconds only: those would leave out the last one, or wait for the next.
            told = self._api.events(  # type: ignore[call-overload]
                since=f"{now - within:.6f}",
                until=f"{now:.6f}",
                filters={"container": container, "event": "kill"},
                decode=True,
            )
            return tuple(str(event["Actor"]["Attributes"].get("signal", "")) for event in told)

    def remove(self, container: str) -> None:
        """Remove it with its anonymous volumes, killing it when it runs; it may be gone already."""
        with _translated("remove the container"), _gone_is_fine():
            try:
                self._api.remove_container(container, v=True, force=True)
            except docker.errors.APIError as error:
                # Somebody else is removing it; its name is free only when they are done.
                if error.status_code != HTTPStatus.CONFLICT:
                    raise
                self._api.wait(container, timeout=_TIMEOUT_S, condition="removed")


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
        removing=state.get("Status") in {"removing", "dead"},
    )


@contextmanager
def _translated(doing: str, bad_request: type[DockerError] = DockerError) -> Iterator[None]:
    """Turn the SDK's errors into ours; NotFound passes, since each caller means something else by it."""
    try:
        yield
    except docker.errors.NotFound:
        raise
    except docker.errors.APIError as error:
        why = str(error.explanation or error)
        said = f"Docker refused to {doing}: {why}"
        if _PORT_TAKEN.search(why):
            raise PortTakenError(said, hint="ss -ltnp shows whose it is; or set another [server] port") from None
        kind = bad_request if error.status_code == http.HTTPStatus.BAD_REQUEST else DockerError
        raise kind(said, hint="docker info") from None
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
