"""Control groups of the test bed: each host and helper process sits in one, so that nothing outlives a run."""

from __future__ import annotations

import re
import select
import time
from contextlib import suppress
from pathlib import Path

from tests.testbed.errors import BedError


def hierarchy() -> Path | None:
    """Return where this machine mounts cgroup v2, or None."""
    mounts = Path("/proc/self/mountinfo").read_text()
    found = re.search(r"^\S+ \S+ \S+ / (\S+) .* - cgroup2 ", mounts, re.MULTILINE)
    return Path(found[1]) if found else None


def create(name: str) -> Path:
    """Make the group `name` (a relative path) with every controller its parents can pass on, and return it."""
    directory = hierarchy()
    if directory is None:
        raise BedError("this machine has no cgroup v2 mounted")
    for part in Path(name).parts:
        _delegate(directory)
        directory /= part
        directory.mkdir(exist_ok=True)
    return directory


def _delegate(directory: Path) -> None:
    for controller in (directory / "cgroup.controllers").read_text().split():
        # A group with processes of its own passes none on; the hosts then do without, as on cgroup v1.
        with suppress(OSError):
            (directory / "cgroup.subtree_control").write_text(f"+{controller}")


def command_in(group: Path, command: list[str]) -> list[str]:
    """Return a command line that puts itself into the group and then becomes `command`."""
    return ["/bin/sh", "-c", f'echo 0 > {group}/cgroup.procs && exec "$@"', "sh", *command]


def kill(group: Path, timeout: float = 20) -> None:
    """Kill every process in the group and below, wait until all are gone, and remove the group.

    Does nothing when there is no such group; raises BedError when processes are left after `timeout` seconds.
    """
    if not group.is_dir():
        return
    deadline = time.monotonic() + timeout
    with (group / "cgroup.events").open("rb", buffering=0) as events:
        changed = select.poll()
        changed.register(events, select.POLLPRI)
        (group / "cgroup.kill").write_text("1")
        while b"populated 1" in events.read():
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise BedError(f"processes in {group} did not die within {timeout} s")
            changed.poll(remaining * 1000)
            events.seek(0)
    for directory in sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True):
        directory.rmdir()
    group.rmdir()
