"""What wandb-local-drill@.service does: run the throw-away mysqld of one drill in a container, and remove that."""

from __future__ import annotations

import json
import os
import pwd
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from types import FrameType
from typing import Any, Final

import docker
import docker.errors
import requests.exceptions

from wbagent import events
from wbagent.database.contained import Request
from wbagent.database.process import Blow
from wbagent.drill.cage import LABEL, MEMORY, cage
from wbagent.errors import DockerError, UsageError, WbagentError
from wbagent.server.container import SOCKET, Docker, DockerAwayError, SpecificationRefusedError
from wbagent.systemd import journal

NAME: Final = "wandb-local-drill"
_USER: Final = "wbagent"
# A layer may take so long without a word from its registry.
_SILENCE_S: Final = 900
_REQUEST_S: Final = 10.0
_KILLED: Final = 128 + signal.SIGKILL


def serve(connection: socket.socket, image: str | None) -> None:
    """Run what is asked for over the connection until it ends, or the connection does; then no container is left.

    Raises WbagentError when no container could be had, after the other side was told.
    """
    signal.signal(signal.SIGTERM, _end)
    try:
        connection.settimeout(_REQUEST_S)
        line = connection.makefile("rb").readline()
        connection.settimeout(None)
        threading.Thread(target=_watch, args=(connection,), daemon=True).start()
        _serve(connection, image, line)
    except ConnectionError:
        # The drill has ended in the midst of a line.
        return
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        with suppress(OSError):
            # systemd has the connection too: closing it would not be seen.
            connection.shutdown(socket.SHUT_RDWR)


def _serve(connection: socket.socket, image: str | None, line: bytes) -> None:
    try:
        request = _request(line)
        if image is None:
            raise UsageError("[backup.drill] image is not set any more", hint="wbagent backup drill, once more")
        entry = pwd.getpwnam(_USER)
        engine = Docker()
        _remove_leftover(engine)
        volumes = (_image(engine, image)["Config"] or {}).get("Volumes") or {}
        asked = cage(image, request, (entry.pw_uid, entry.pw_gid), _invocation(), volumes)
        try:
            container = engine.create(asked, NAME)
            output = engine.attach(container)
            engine.start(container)
        except SpecificationRefusedError as error:
            remove_own(engine)
            raise DockerError(error.message, hint="name an image of MySQL in [backup.drill] image") from None
        except BaseException:
            remove_own(engine)
            raise
    except WbagentError as error:
        _say(connection, refused=error.message, hint=error.hint)
        raise
    try:
        _say(connection, started=container)
        for said in _lines(output):
            _say(connection, line=said)
        status, blow = _end_of(engine, container)
        _say(connection, ended=status, what=blow.what if blow else "", hint=blow.hint if blow else "")
    finally:
        remove_own(engine)


def _request(line: bytes) -> Request:
    try:
        return Request.from_line(line)
    except ValueError as error:
        raise UsageError(f"this connection is for drills only: {error}") from None


def _invocation() -> str:
    return os.environ.get("INVOCATION_ID", "by hand")


def remove_own(engine: Docker | None = None) -> None:
    """Remove the container of this run of the unit, if it is there; Docker being away is told, and no failure."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        engine = engine or Docker()
        details = engine.inspect(NAME)
        if details is not None and details["Config"]["Labels"].get(LABEL) == _invocation():
            engine.remove(details["Id"])
    except DockerError as error:
        journal.send(
            f"the container of the drill could not be removed, the next drill tries again: {error.message}",
            level="warning",
            message_id=events.DOCKER_AWAY,
        )


def _remove_leftover(engine: Docker) -> None:
    """What a run left that was killed together with Docker."""
    details = engine.inspect(NAME)
    if details is None:
        return
    if LABEL not in (details["Config"].get("Labels") or {}):
        raise DockerError(
            f"a container named {NAME} is there that wbagent did not make; it is left alone",
            hint=f"docker rename {NAME} ANOTHER-NAME",
        )
    journal.send(f"removing the container {NAME} that an earlier drill left", level="notice")
    engine.remove(details["Id"])


def _image(engine: Docker, name: str) -> dict[str, Any]:
    """What Docker tells of it, fetched when it is not on this host."""
    if (details := engine.inspect_image(name)) is not None:
        return details
    journal.send(f"fetching {name} for the drill: [backup.drill] image names it, and it is not on this host")
    _pull(name)
    if (details := engine.inspect_image(name)) is None:
        raise DockerError(f"the registry gave something else than {name}", hint=f"docker pull {name}; docker image ls")
    return details


def _pull(image: str) -> None:
    """As `docker pull` without credentials; raises DockerError, DockerAwayError."""
    hint = f"docker pull {image}  (or, without a registry: docker load --input FILE); then: wbagent backup drill"
    said = f"the image {image} is not on this host and could not be fetched"
    try:
        with closing(docker.APIClient(base_url=SOCKET, version="auto", timeout=_SILENCE_S)) as api:
            for entry in api.pull(image, stream=True, decode=True):
                if why := entry.get("error"):
                    raise DockerError(f"{said}: {why}", hint=hint)
    except docker.errors.APIError as error:
        raise DockerError(f"{said}: {error.explanation or error}", hint=hint) from None
    except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
        raise DockerAwayError(f"{said}: {type(error).__name__}", hint="systemctl status docker.service") from None


def _lines(pieces: Iterator[bytes]) -> Iterator[str]:
    """Whole lines, however they were cut into pieces."""
    rest = b""
    # A daemon that ends resets the connection; what became of the container is asked next.
    with suppress(OSError):
        for piece in pieces:
            *lines, rest = (rest + piece).split(b"\n")
            yield from (line.decode(errors="replace") for line in lines)
    if rest:
        yield rest.decode(errors="replace")


def _end_of(engine: Docker, container: str) -> tuple[int, Blow | None]:
    """How it ended: a status as subprocess gives it, and what is known to have ended it from outside."""
    try:
        status = engine.wait(container)
        found = engine.find(container)
    except DockerError as error:
        return -signal.SIGKILL, Blow(f"Docker ended meanwhile ({error.message})", "systemctl status docker.service")
    if status is None or found is None:
        return -signal.SIGKILL, Blow("somebody removed its container", "wbagent backup drill")
    if found.oom_killed:
        limit = f"its container needed more than {MEMORY >> 20} MB of memory and was killed"
        return -signal.SIGKILL, Blow(limit, "a server of this host instead has no such limit: [backup.drill] mysqld")
    if found.error:
        return -signal.SIGKILL, Blow(f"Docker says: {found.error}", "systemctl status docker.service")
    return (-signal.SIGKILL if status == _KILLED else status), None


def _say(connection: socket.socket, **what: object) -> None:
    connection.sendall(json.dumps(what).encode() + b"\n")


def _watch(connection: socket.socket) -> None:
    """End this process when the other side closes the connection: it says nothing after its request."""
    with suppress(OSError):
        connection.recv(1)
    os.kill(os.getpid(), signal.SIGTERM)


def _end(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)
