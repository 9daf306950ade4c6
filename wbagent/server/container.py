"""What supervision asks of Docker: find, create, start, await, read and remove the one container."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Self

from wbagent.errors import DockerError
from wbagent.server.engine import Answer, Engine, unframed
from wbagent.server.specification import CONTAINER_PORT, HASH_LABEL, NAME, Specification

SOCKET: Final = "unix:///run/docker.sock"
# Longer than any one answer of a busy daemon takes; waits for a container's end have no limit of their own.
_TIMEOUT_S: Final = 30
# As long as a daemon that its socket starts may need for its first answer; a stop shall not wait for more.
_PING_S: Final = 15
_BAD_REQUEST: Final = 400
_NOT_FOUND: Final = 404
_GONE: Final = frozenset({_NOT_FOUND})
_CONFLICT: Final = 409
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

    `removing` is set while somebody is removing it; `network` is the file of its network namespace, or "".
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
    network: str = ""


class Docker:
    """The Docker daemon. Every method raises DockerAwayError or DockerError."""

    def __init__(self, base_url: str = SOCKET) -> None:
        with _reachable("connect"):
            self._engine = Engine.connect(base_url.removeprefix("unix://"), _TIMEOUT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing stays open between two requests."""

    def ping(self) -> None:
        """DockerAwayError when the daemon does not answer within seconds: it may be gone, or hang."""
        with _reachable("ask whether it is there"):
            self._engine.ping(_PING_S)

    def systemd_cgroups(self) -> bool:
        """Whether the daemon's cgroup driver is systemd, so that a slice can hold the container."""
        return bool(self.info()["CgroupDriver"] == "systemd")

    def unlimited(self) -> frozenset[str]:
        """Which limits Docker drops, since the kernel cannot set them: "memory", "processors"."""
        info = self.info()
        limits = {"memory": "MemoryLimit", "processors": "CpuCfsQuota"}
        return frozenset(name for name, key in limits.items() if not info.get(key))

    def info(self) -> dict[str, Any]:
        """What the daemon tells of itself (`docker info`)."""
        info: dict[str, Any] = self._json("read the daemon's settings", "GET", "/info")
        return info

    def find(self, name: str = NAME) -> Found | None:
        """The container of that name or id, running or not."""
        details = self.inspect(name)
        return _found(details) if details is not None else None

    def inspect(self, name: str = NAME) -> dict[str, Any] | None:
        """Everything that Docker tells of the container; it holds secrets."""
        return self._details("inspect the container", f"/containers/{name}/json")

    def containers(self) -> list[dict[str, Any]]:
        """All containers, running or not, in short (`docker ps --all`)."""
        found: list[dict[str, Any]] = self._json("list the containers", "GET", "/containers/json", query={"all": 1})
        return found

    def version(self) -> dict[str, Any]:
        """The daemon's version and platform (`docker version`)."""
        found: dict[str, Any] = self._json("read the daemon's version", "GET", "/version")
        return found

    def registry_entry(self, image: str, timeout: float) -> dict[str, Any] | None:
        """What the image's registry tells without credentials of an image that is to be pulled; None: it has none.

        Nothing is pulled. A registry that refuses or cannot be reached is a DockerError with Docker's words; one that
        is silent for so many seconds a DockerAwayError.
        """
        path = f"/distribution/{image}/json"
        entry: dict[str, Any] | None = self._json("look the image up in its registry", "GET", path, timeout=timeout)
        return entry

    def inspect_image(self, name: str) -> dict[str, Any] | None:
        """Everything that Docker tells of the image of that name or id; None when it is not on this host."""
        return self._details("inspect the image", f"/images/{name}/json")

    def _details(self, doing: str, path: str) -> dict[str, Any] | None:
        details: dict[str, Any] | None = self._json(doing, "GET", path)
        return details

    def create(self, specification: Specification, name: str = NAME) -> str:
        """Create the container; its id. Raises ImageMissingError, SpecificationRefusedError."""
        created = self._json(
            "create the container",
            "POST",
            "/containers/create",
            query={"name": name},
            body=specification.config,
            bad_request=SpecificationRefusedError,
        )
        if created is None:
            raise ImageMissingError(
                f"the image {specification.image} is not on this host",
                hint=f"docker pull {specification.image}  (or, without a registry: docker load --input FILE)",
            )
        return str(created["Id"])

    def start(self, container: str) -> None:
        """Start it. Raises PortTakenError, SpecificationRefusedError."""
        path = f"/containers/{container}/start"
        self._ask("start the container", "POST", path, bad_request=SpecificationRefusedError)

    def attach(self, container: str) -> Iterator[bytes]:
        """What it prints, as it comes, once it is started; it is attached when this returns."""
        with _reachable("read the container's output"):
            pieces = self._engine.attach(container, timeout=_TIMEOUT_S)
            next(pieces)
        return pieces

    def wait(self, container: str) -> int | None:
        """Block until it ends; its exit code, or None when it was removed meanwhile."""
        path = f"/containers/{container}/wait"
        ended = self._json("wait for the container", "POST", path, timeout=None)
        return int(ended["StatusCode"]) if ended is not None else None

    def stop(self, container: str, grace: float) -> None:
        """SIGTERM, and SIGKILL after `grace` seconds; it may be gone already."""
        seconds = round(grace)
        path = f"/containers/{container}/stop"
        self._ask("stop the container", "POST", path, query={"t": seconds}, timeout=_TIMEOUT_S + seconds, fine=_GONE)

    def last_log_lines(self, container: str, count: int = 50) -> tuple[str, ...]:
        """Its last lines of output; empty when Docker cannot tell (then the journal can)."""
        query = {"stdout": 1, "stderr": 1, "tail": count}
        try:
            answer = self._ask("read the container's log", "GET", f"/containers/{container}/logs", query=query)
        except DockerError:
            return ()
        return tuple(line[:500] for line in unframed(answer.body).decode(errors="replace").splitlines())

    def signals_sent(self, container: str, within: float) -> tuple[str, ...]:
        """The numbers of the signals that were sent to it through Docker in the last `within` seconds, oldest first.

        Only while this daemon lived: it keeps its events in memory.
        """
        now = time.time()
        filters = json.dumps({"container": [container], "event": ["kill"]})
        # Fractions of seconds: whole ones would leave out the last, or wait for the next.
        query = {"since": f"{now - within:.6f}", "until": f"{now:.6f}", "filters": filters}
        answer = self._ask("read its events", "GET", "/events", query=query)
        with _reachable("read its events"):
            told = [json.loads(line) for line in answer.body.splitlines()]
        return tuple(str(event["Actor"]["Attributes"].get("signal", "")) for event in told)

    def remove(self, container: str) -> None:
        """Remove it with its anonymous volumes, killing it when it runs; it may be gone already."""
        path = f"/containers/{container}"
        answer = self._ask("remove the container", "DELETE", path, query={"v": 1, "force": 1}, fine=_GONE | {_CONFLICT})
        if answer.status == _CONFLICT:
            # Somebody else is removing it; its name is free only when they are done.
            self._ask("remove the container", "POST", f"{path}/wait", query={"condition": "removed"}, fine=_GONE)

    def _json(self, doing: str, method: str, path: str, **more: Any) -> Any:
        """What Docker's answer says; None when there is no such thing. `more` is as for `_ask`."""
        answer = self._ask(doing, method, path, fine=_GONE, **more)
        # A daemon that is stopped meanwhile has sent a head, and perhaps half a body.
        with _reachable(doing):
            return answer.json() if answer.status != _NOT_FOUND else None

    def _ask(
        self,
        doing: str,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        body: object = None,
        timeout: float | None = _TIMEOUT_S,
        bad_request: type[DockerError] = DockerError,
        fine: Collection[int] = (),
    ) -> Answer:
        """Docker's answer; an error of ours when it refuses, unless with a status that is `fine` too."""
        with _reachable(doing):
            answer = self._engine.ask(method, path, timeout=timeout, query=query, body=body)
        if answer.status < 400 or answer.status in fine:
            return answer
        said = f"Docker refused to {doing}: {answer.message}"
        if _PORT_TAKEN.search(answer.message):
            raise PortTakenError(said, hint="ss -ltnp shows whose it is; or set another [server] port")
        kind = bad_request if answer.status == _BAD_REQUEST else DockerError
        raise kind(said, hint="docker info")


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
        network=network.get("SandboxKey") or "",
    )


@contextmanager
def _reachable(doing: str) -> Iterator[None]:
    """Turn what goes wrong on the way to the daemon, or in the middle of its answer, into DockerAwayError."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise DockerAwayError(
            f"cannot reach Docker to {doing}: {type(error).__name__}", hint="systemctl status docker.service"
        ) from None
