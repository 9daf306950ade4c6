"""A disk of the test bed: a loop device on a file, with a file system on it, fast or throttled by the kernel."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.testbed import cgroup
from tests.testbed.command import run
from tests.testbed.errors import BedError


@dataclass(frozen=True)
class LoopDisk:
    """Where it is mounted, and its number ("7:0")."""

    directory: Path
    number: str


@contextmanager
def loop_disk(place: Path, size: str = "64M") -> Iterator[LoopDisk]:
    """Make one in memory, so that it is fast on every machine; BedError where that cannot be had."""
    lacking = [program for program in ("losetup", "mkfs.ext4") if not shutil.which(program)]
    if lacking or not Path("/dev/loop-control").exists():
        raise BedError(f"a loop device needs {' and '.join(lacking) or '/dev/loop-control'}")
    memory, directory = place / "memory", place / "disk"
    memory.mkdir()
    directory.mkdir()
    with ExitStack() as stack:
        run(["mount", "-t", "tmpfs", "tmpfs", str(memory)])
        # Lazily, as the kernel detaches a loop device: when the last one who looks at it has let go.
        stack.callback(run, ["umount", "--lazy", str(memory)])
        run(["truncate", f"--size={size}", str(memory / "file")])
        run(["mkfs.ext4", "-q", str(memory / "file")])
        device = run(["losetup", "--find", "--show", str(memory / "file")]).stdout.strip()
        stack.callback(run, ["losetup", "--detach", device])
        run(["mount", device, str(directory)])
        stack.callback(run, ["umount", str(directory)])
        yield LoopDisk(directory, Path("/sys/class/block", Path(device).name, "dev").read_text().strip())


@contextmanager
def throttled(disk: LoopDisk, writes: int) -> Iterator[Path]:
    """A control group whose processes may make so many writes a second to the disk; BedError where none can."""
    mounts = Path("/proc/self/mountinfo").read_text()
    if found := re.search(r"^\S+ \S+ \S+ / (\S+) .* - cgroup \S+ \S*\bblkio\b", mounts, re.MULTILINE):
        group = Path(found[1]) / "wbagent-testbed-throttled"
        group.mkdir(exist_ok=True)
        limit, value = group / "blkio.throttle.write_iops_device", f"{disk.number} {writes}"
    else:
        group = cgroup.create("wbagent-testbed-throttled")
        limit, value = group / "io.max", f"{disk.number} wiops={writes}"
    try:
        if not limit.exists():
            raise BedError("this kernel throttles no disk: neither blkio.throttle nor io.max")
        limit.write_text(value)
        yield group
    finally:
        group.rmdir()
