"""Whether the server's port on this host is free, or taken by the server itself; else, by whom."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from wbagent.checks.check import Finding, Subject, Verdict, fail, passed
from wbagent.config import Settings
from wbagent.errors import AccessError, DockerError
from wbagent.monitor.cgroups import shown_as
from wbagent.server.container import Docker
from wbagent.server.specification import NAME

PORT: Final = 8080
_EVERY: Final = frozenset({"0.0.0.0", "::", "*"})


@dataclass(frozen=True, slots=True)
class Listener:
    """Who listens at an address; `program` and `unit` are "" where this user may not see them."""

    address: str
    program: str = ""
    pid: int = 0
    unit: str = ""

    def __str__(self) -> str:
        if not self.program:
            return f"a program of another user, at {self.address}"
        of = f" of {self.unit}" if self.unit else ""
        return f"{self.program} (process {self.pid}{of}), at {self.address}"


def wanted(settings: Settings) -> tuple[str, int]:
    """The address and port that the server is to have."""
    server = settings.server
    return (server.bind, server.port) if server is not None else ("0.0.0.0", PORT)


def port(subject: Subject) -> Finding:
    """What listens there now."""
    return _look(subject.settings)


def taken(settings: Settings) -> bool:
    """Whether somebody else has it, which this area tells; False where this user may not see that."""
    try:
        return _look(settings).verdict is Verdict.FAIL
    except AccessError:
        return False


def _look(settings: Settings) -> Finding:
    bind, number = wanted(settings)
    try:
        with Docker() as docker:
            containers = docker.containers()
    except DockerError:
        containers = []
    return judge(number, listeners(bind, number), publishing(containers, number))


def listeners(bind: str, number: int) -> tuple[Listener, ...]:
    """Those that a server at this address and port would collide with; not the area proxy, which takes its place."""
    found = [(each.laddr, each.pid) for each in psutil.net_connections("tcp") if each.status == psutil.CONN_LISTEN]
    there = [(at.ip, pid) for at, pid in found if at and at.port == number]
    others = [(ip, pid) for ip, pid in there if pid != os.getpid()]
    return tuple(_listener(ip, pid) for ip, pid in others if ip == bind or _EVERY & {ip, bind})


def _listener(address: str, pid: int | None) -> Listener:
    if pid is None:
        return Listener(address)
    try:
        group = Path(f"/proc/{pid}/cgroup").read_text().strip().rpartition(":")[2]
        return Listener(address, psutil.Process(pid).name(), pid, shown_as(group) if group.strip("/") else "")
    except (OSError, psutil.Error):
        return Listener(address)


def publishing(containers: Iterable[dict[str, Any]], number: int) -> str:
    """The name of the running container that has this port of the host; "" where none has."""
    for each in containers:
        if any(published.get("PublicPort") == number for published in each.get("Ports") or ()):
            return str(each["Names"][0]).removeprefix("/")
    return ""


def judge(number: int, found: tuple[Listener, ...], container: str) -> Finding:
    """The server's own container is no collision, whoever made it: the area "docker" looks at that."""
    if container == NAME:
        return passed(f"{number} is the running server's own")
    if container:
        return fail(
            f"{number} is taken by the container {container}",
            needed="a free port",
            remedy=f"docker stop {container}\nor, in [server] of /etc/wbagent.toml: port = {number + 1}",
        )
    if found:
        stop = (
            f"systemctl stop {found[0].unit}" if found[0].unit.endswith(".service") else f"ss -ltnp sport = :{number}"
        )
        return fail(
            f"{number} is taken by {'; '.join(dict.fromkeys(map(str, found)))}",
            needed="a free port",
            remedy=f"{stop}\nor, in [server] of /etc/wbagent.toml: port = {number + 1}",
        )
    return passed(f"{number} is free")
