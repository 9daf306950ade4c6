"""What Docker tells of itself and its containers, asked once for all checks of the area."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from wbagent.checks.asking_docker import open_docker
from wbagent.checks.check import Finding, Run, Subject, fail, passed
from wbagent.config import Settings
from wbagent.errors import DockerError
from wbagent.server.container import SOCKET, Docker

_SOCKET: Final = SOCKET.removeprefix("unix://")
# A host with more containers than this is none that a single server is run on.
_CONTAINERS: Final = 50


@dataclass(frozen=True, slots=True)
class Daemon:
    """`docker info`, `docker version`, and `docker inspect` of each container by its name: those hold secrets."""

    info: Mapping[str, Any]
    version: Mapping[str, Any]
    containers: Mapping[str, Mapping[str, Any]]


Judge = Callable[[Daemon, Settings], Finding | Iterable[Finding]]


class Look:
    """One look at the daemon: where it cannot be had, the check "daemon" says why, and the others say nothing."""

    def __init__(self) -> None:
        self._daemon: Daemon | None = None

    def daemon(self, _: Subject) -> Finding:
        """Whether it is there."""
        if not Path(_SOCKET).exists():
            return not_there(installed=shutil.which("dockerd", path="/usr/local/sbin:/usr/sbin:/usr/bin") is not None)
        try:
            with open_docker() as docker:
                self._daemon = _ask(docker)
        except DockerError as error:
            remedy = f"systemctl start docker.service\n{error.hint}    # why it does not run"
            return fail(error.message, needed="a daemon that answers", remedy=remedy)
        return passed("it answers")

    def then(self, judge: Judge) -> Run:
        """A check of what it told."""
        return lambda subject: judge(self._daemon, subject.settings) if self._daemon is not None else ()


def not_there(*, installed: bool) -> Finding:
    """Without a socket."""
    if installed:
        return fail(
            "Docker is installed and does not run",
            needed="a running daemon",
            remedy="systemctl enable --now docker.socket docker.service",
        )
    return fail("Docker is not installed", needed="Docker 20.10.10 or later", remedy="apt install docker.io")


def _ask(docker: Docker) -> Daemon:
    names = [str(each["Names"][0]).removeprefix("/") for each in docker.containers() if each.get("Names")]
    # One may have gone meanwhile.
    details = {name: docker.inspect(name) for name in names[:_CONTAINERS]}
    return Daemon(docker.info(), docker.version(), {name: found for name, found in details.items() if found})
