"""A run of the test bed: its bridge, its subnet and its directory, with all that an earlier run left cleaned up."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.testbed import cgroup
from tests.testbed.cache import remove_tree
from tests.testbed.command import run
from tests.testbed.errors import BedError

RUNS = Path("/var/lib/wbagent-testbed")


@dataclass(frozen=True)
class Bridge:
    """The network of one run; two runs side by side have different numbers, so nothing of theirs collides."""

    number: int

    @property
    def name(self) -> str:
        """The bridge's interface on the outer machine."""
        return f"wbagent{self.number}"

    @property
    def directory(self) -> Path:
        """Where this run keeps its hosts' changes; removed at its end."""
        return RUNS / str(self.number)

    @property
    def group(self) -> str:
        """The control group of everything that this run starts."""
        return f"wbagent-testbed-{self.number}"

    @property
    def gateway(self) -> str:
        """The outer machine's own address on the bridge."""
        return self.address(1)

    def address(self, last: int) -> str:
        """Return the IPv4 address that ends in `last`."""
        return f"10.99.{self.number}.{last}"


@contextmanager
def bridge() -> Iterator[Bridge]:
    """Set up a bridge on a free subnet 10.99.N.0/24; take all of the run down at the end."""
    with ExitStack() as stack:
        with _lock(RUNS / "lock", wait=True):
            _sweep()
            link = _first_free()
            stack.callback(run, ["ip", "link", "delete", link.name], check=False)
            link.directory.mkdir(mode=0o700)
            owner = stack.enter_context(_lock(link.directory / "owner", wait=False))
            assert owner, "the directory was made a moment ago"
            stack.callback(_clean, link)
            run(["ip", "address", "add", f"{link.gateway}/24", "dev", link.name])
            run(["ip", "link", "set", link.name, "up"])
        yield link


def _first_free() -> Bridge:
    routes = json.loads(run(["ip", "-json", "-4", "route", "show", "table", "all"]).stdout)
    taken = [str(route.get("dst", "")) for route in routes]
    for number in range(100):
        link = Bridge(number)
        if any(route.startswith(f"10.99.{number}.") for route in taken) or link.directory.exists():
            continue
        # The kernel decides between two runs that start together: the name can be taken only once.
        if run(["ip", "link", "add", link.name, "type", "bridge"], check=False).returncode == 0:
            return link
    raise BedError("no subnet 10.99.N.0/24 is free for the test bed")


def _sweep() -> None:
    """Clean up after runs whose process died before it could do so."""
    for link in runs():
        with _lock(link.directory / "owner", wait=False) as dead:
            if dead:
                _clean(link)


def runs() -> list[Bridge]:
    """Return the runs that are up on this machine, and those that died without cleaning up."""
    return [Bridge(int(path.name)) for path in sorted(RUNS.glob("[0-9]*"))]


def _clean(link: Bridge) -> None:
    """Remove everything of a run; each step tolerates that it has been done already."""
    groups = cgroup.hierarchy()
    if groups:
        cgroup.kill(groups / link.group)
    for mount in reversed(_mounts_below(link.directory)):
        # Lazily: a mount namespace of a process that died a moment ago may still hold it.
        run(["umount", "--lazy", mount], check=False)
    run(["ip", "link", "delete", link.name], check=False)
    for namespace in Path("/run/netns").glob(f"{link.name}-*"):
        run(["ip", "netns", "delete", namespace.name], check=False)
    forget_machines(f"*-{link.number}")
    if not _mounts_below(link.directory):
        remove_tree(link.directory)


def forget_machines(pattern: str) -> None:
    """Remove what nspawn leaves in /run when it is killed, for the machines whose names match the pattern."""
    for directory in Path("/run/systemd/nspawn").glob(f"*/{pattern}"):
        run(["umount", "--lazy", str(directory)], check=False)
        with suppress(OSError):
            directory.rmdir()


def _mounts_below(directory: Path) -> list[str]:
    mounts = (line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines())
    return [mount for mount in mounts if mount.startswith(f"{directory}/")]


@contextmanager
def _lock(path: Path, *, wait: bool) -> Iterator[bool]:
    """Hold a file's lock; without `wait` say whether it could be had."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)
