"""What this machine lacks to boot hosts of the test bed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.testbed import cgroup

_PROGRAMS = {
    "mmdebstrap": "mmdebstrap",
    "systemd-nspawn": "systemd-container",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
}


def why_no_hosts() -> str | None:
    """Return why hosts cannot be booted here, with what to do about it; None when they can."""
    if os.geteuid() != 0:
        return "booting hosts needs root: run it as root on a machine or virtual machine of your own"
    if not Path("/etc/debian_version").exists() or not shutil.which("apt-get"):
        return "booting hosts needs a Debian machine: their root file systems come from its mirror and keyring"
    lacking = lacking_packages()
    if lacking:
        return f"booting hosts needs these packages: apt-get install {' '.join(lacking)}"
    return _kernel()


def lacking_packages() -> list[str]:
    """Return the Debian packages that booting hosts needs and that are not installed."""
    lacking = {package for program, package in _PROGRAMS.items() if not shutil.which(program)}
    if not Path("/usr/share/keyrings/debian-archive-keyring.gpg").exists():
        lacking.add("debian-archive-keyring")
    return sorted(lacking)


def _kernel() -> str | None:
    hierarchy = cgroup.hierarchy()
    if hierarchy is None:
        return "booting hosts needs cgroup v2, which is not mounted: mount -t cgroup2 none /sys/fs/cgroup/unified"
    if not os.access(hierarchy, os.W_OK) or _is_read_only(hierarchy):
        return f"booting hosts needs to write to {hierarchy}, which is read-only: not possible in a plain container"
    absent = [
        name for name in ("mnt", "net", "pid", "uts", "ipc", "cgroup") if not Path("/proc/self/ns", name).exists()
    ]
    if absent:
        return f"booting hosts needs kernel namespaces that are missing here: {', '.join(absent)}"
    if "overlay" not in Path("/proc/filesystems").read_text() and not shutil.which("modprobe"):
        return "booting hosts needs the overlay file system, which this kernel lacks"
    return None


def _is_read_only(path: Path) -> bool:
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
