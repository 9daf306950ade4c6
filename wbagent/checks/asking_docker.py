"""How checks ask Docker: as this user may, and with one word where that is not possible."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from wbagent.checks.check import Finding, Run, Subject, listed, note
from wbagent.errors import AccessError
from wbagent.server.container import SOCKET, Docker, DockerAwayError

_MEMBERS: Final = "sudo wbagent check, or as a member of group docker"


def open_docker() -> Docker:
    """Docker; AccessError where this user may not speak to it, DockerAwayError where it does not answer."""
    path = SOCKET.removeprefix("unix://")
    if Path(path).exists() and not os.access(path, os.R_OK | os.W_OK):
        raise AccessError("this user may not speak to Docker", hint=_MEMBERS)
    return Docker()


def with_docker(look: Callable[[Docker], Finding | Iterable[Finding]]) -> Run:
    """A check that asks Docker, and notes where it is away: that is the area docker's failure, told there once.

    Raises AccessError as `open_docker`.
    """

    def run(_: Subject) -> Finding | Iterable[Finding]:
        try:
            with open_docker() as docker:
                return listed(look(docker))
        except DockerAwayError:
            return note("not looked at: Docker does not answer", remedy="wbagent check docker")

    return run
