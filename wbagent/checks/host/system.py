"""What the operating system brings: systemd, the architecture, limits of open files."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Final

from wbagent.checks.check import Finding, Subject, fail, note, passed
from wbagent.errors import DockerError
from wbagent.server.container import Docker

_SYSTEMD: Final = 254
_VERSION: Final = re.compile(r"^systemd (\d+)", re.MULTILINE)
# W&B's `--ulimit nofile` for the mysqld of an embedded server.
_OPEN_FILES: Final = 262_144
_NR_OPEN: Final = Path("/proc/sys/fs/nr_open")
_LIMIT: Final = re.compile(r"^Max open files +(\d+|unlimited)", re.MULTILINE)
_LIMIT_S: Final = 10.0


def systemd(_: Subject) -> Finding:
    """Its version, and that it is what runs here."""
    program = "/usr/bin/systemctl"
    done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    return judge_systemd(done.stdout, runs=Path("/run/systemd/system").is_dir())


def judge_systemd(shown: str, *, runs: bool) -> Finding:
    """`shown` is what `systemctl --version` prints."""
    found = _VERSION.search(shown)
    if not runs:
        return fail("systemd is not what runs this host", needed="a host that is booted by systemd", remedy="")
    if found is None:
        return note(f"its version is unknown: {shown.strip()[:80]}")
    if int(found[1]) < _SYSTEMD:
        return fail(f"systemd {found[1]}", needed=f"systemd {_SYSTEMD}", remedy="upgrade the distribution: Debian 13")
    return passed(f"systemd {found[1]}")


def architecture(_: Subject) -> Finding:
    """The kernel's."""
    return judge_architecture(os.uname().machine)


def judge_architecture(machine: str) -> Finding:
    """Nothing but x86-64 runs the image."""
    if machine == "x86_64":
        return passed("x86-64")
    return fail(f"{machine}", needed="x86-64", remedy="run the server on a machine with x86-64 processors")


def open_files(subject: Subject) -> Finding:
    """Those of the running container, else what the kernel would let one have."""
    server = subject.settings.server
    embedded = server is not None and server.embedded
    return judge_open_files(int(_NR_OPEN.read_text()), _of_the_container(), embedded=embedded)


def _of_the_container() -> int | None:
    """The soft limit of our container's first process; None where none runs or this user may not look."""
    try:
        with Docker() as docker:
            details = docker.inspect("wandb-local")
        found = _LIMIT.search(Path(f"/proc/{details['State']['Pid']}/limits").read_text()) if details else None
    except (DockerError, OSError):
        return None
    return None if found is None else _OPEN_FILES if found[1] == "unlimited" else int(found[1])


def judge_open_files(nr_open: int, container: int | None, *, embedded: bool) -> Finding:
    """Only an embedded server needs so many; another one is told what it has."""
    if nr_open < _OPEN_FILES:
        remedy = f"echo 'fs.nr_open = {4 * _OPEN_FILES}' > /etc/sysctl.d/60-open-files.conf && sysctl --system"
        found, needed = f"the kernel lets no process have more than {nr_open}", f"{_OPEN_FILES} for an embedded MySQL"
        if embedded:
            return fail(found, needed=needed, remedy=remedy)
        return note(found, needed=needed, remedy=remedy)
    if container is None:
        return passed(f"up to {nr_open} a process")
    if embedded and container < _OPEN_FILES:
        return fail(
            f"the running container has {container}",
            needed=f"{_OPEN_FILES}",
            remedy="take nofile out of [server.ulimits], then: systemctl restart wandb-local",
        )
    return passed(f"{container} for the running container, up to {nr_open} a process")
