"""What the server's container has: memory, processors, and the volume that it writes its files to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from wbagent.checks.asking_docker import with_docker
from wbagent.checks.check import Finding, Run, Subject, fail, note, passed, warn
from wbagent.config.server import ServerSettings
from wbagent.errors import AccessError
from wbagent.monitor.disk import Space, look_up
from wbagent.quantities import format_size
from wbagent.server.container import Docker
from wbagent.server.specification import NAME

_GUIDE_CPUS: Final = 4
_GUIDE_MEMORY: Final = 8 << 30
# A machine sold with 8 GB shows a little less of it.
_ROUNDING: Final = 1.1
_IMAGE_UID: Final = 999


def limits(settings: ServerSettings) -> Run:
    """[server] memory and cpus, against W&B's guide and this host."""

    def look(_: Subject) -> Iterator[Finding]:
        host_memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        return judge_limits(settings.cpus, settings.memory, os.cpu_count() or 1, host_memory)

    return look


def judge_limits(cpus: float, memory: int, host_cpus: int, host_memory: int) -> Iterator[Finding]:
    """A finding each for memory and processors; a host that has less than the guide's figures the area host tells."""
    allowed = format_size(memory)
    if memory < _GUIDE_MEMORY:
        yield warn(f"it may use {allowed}", needed="8G (W&B's guide)", remedy='[server] memory = "8G"', about="memory")
    elif memory > _GUIDE_MEMORY and memory > host_memory * _ROUNDING:
        yield warn(
            f"it may use {allowed}, and this host has {format_size(host_memory)}: the kernel would end anything first",
            needed="a limit below the host's memory",
            remedy=f'memory = "{max(int(0.9 * host_memory) >> 30, 8)}G"   # in [server] of /etc/wbagent.toml',
            about="memory",
        )
    else:
        yield passed(f"it may use {allowed} of {format_size(host_memory)}", about="memory")
    if cpus < _GUIDE_CPUS:
        yield warn(f"it may use {cpus:g}", needed="4 (W&B's guide)", remedy="[server] cpus = 4", about="processors")
    else:
        # More than the host has limits nothing, and does no harm.
        yield passed(f"it may use {cpus:g}, this host has {host_cpus}", about="processors")


def volume(settings: ServerSettings) -> Run:
    """/vol: where it lies, who may write there, how much is free."""
    if settings.volume.startswith("/"):
        return lambda _: _directory(settings)

    def look(docker: Docker) -> Finding:
        found = docker.inspect(NAME)
        mounts = (found or {}).get("Mounts") or ()
        source = next((str(each["Source"]) for each in mounts if each.get("Destination") == "/vol"), "")
        if not source:
            return note(f"Docker makes the volume {settings.volume} at the first start")
        return judge_space(f"the volume {settings.volume}", source, look_up(source).space)

    return with_docker(look)


def _directory(settings: ServerSettings) -> Finding:
    path = Path(settings.volume)
    uid = int((settings.user or str(_IMAGE_UID)).partition(":")[0])
    make = f"install -d -o {uid} -g 0 -m 0770 {path}"
    try:
        found = path.stat()
    except FileNotFoundError:
        return fail(
            f"{path} is not there: Docker would make it root's, and the server could not write to it",
            needed=f"a directory of UID {uid} with group 0",
            remedy=make,
        )
    except PermissionError as error:
        raise AccessError(f"{path}: {error.strerror}", hint="run this as root") from None
    if not may_write(found.st_mode, found.st_uid, found.st_gid, uid):
        return fail(
            f"{path} is of {found.st_uid}:{found.st_gid} with mode {found.st_mode & 0o7777:04o}",
            needed=f"writable for UID {uid} with group 0",
            remedy=f"chown -R {uid}:0 {path} && chmod 0770 {path}",
        )
    return judge_space("the directory", settings.volume, look_up(settings.volume).space)


def may_write(mode: int, owner: int, group: int, uid: int) -> bool:
    """Whether a process of this UID and of group 0 can make files there."""
    needed = 0o300 if owner == uid else 0o030 if group == 0 else 0o003
    return uid == 0 or mode & needed == needed


def judge_space(what: str, source: str, space: Space | None) -> Finding:
    """Where it lies; when that is full the area host says so, by the limits of the alerts."""
    if space is None:
        return note(f"{what} is at {source}; its space cannot be seen", remedy="run this as root")
    return passed(f"{what} is at {source}, {format_size(space.available)} free of {format_size(space.size)}")
