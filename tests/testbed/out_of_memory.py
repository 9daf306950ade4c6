"""A program on a host that takes more memory than it may, so that the kernel kills it."""

from __future__ import annotations

from pathlib import Path

from tests.testbed import command
from tests.testbed.host import Host

_EATER = ["python3", "-c", "bytearray(200 * 1024 * 1024)"]
_LIMIT = 40 * 1024 * 1024
# Where control groups are those of version 1, which hosts do not see.
_V1 = Path("/sys/fs/cgroup/memory")


def kill_for_want_of_memory(host: Host) -> None:
    """Return when the kernel has killed it: below its unit's MemoryMax=, or in a group of the outer machine."""
    if "memory" in host.read("/sys/fs/cgroup/cgroup.controllers").split():
        host.run(["systemd-run", "--quiet", "--wait", f"--property=MemoryMax={_LIMIT}", *_EATER], check=False)
        return
    group = _V1 / f"wbagent-testbed-{host.name}"
    group.mkdir()
    try:
        (group / "memory.limit_in_bytes").write_text(str(_LIMIT))
        enter = ["/bin/sh", "-c", f'echo 0 > {group}/cgroup.procs && exec "$@"', "sh"]
        command.run([*enter, *host.command(_EATER)], check=False)
    finally:
        group.rmdir()
