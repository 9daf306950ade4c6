"""The daemon itself: its version, its settings, and what the kernel lets it limit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from wbagent.alerts.disk import DAEMON_FILE
from wbagent.checks.check import Finding, fail, note, passed, warn
from wbagent.checks.docker.look import Daemon
from wbagent.config import Settings
from wbagent.errors import WbagentError
from wbagent.systemd.bus import Bus

_VERSION: Final = re.compile(r"(\d+)\.(\d+)\.(\d+)")
_OLDEST: Final = (20, 10, 10)
_STARTED: Final = frozenset({"enabled", "enabled-runtime", "static", "generated", "alias"})
_WITH_A_RESTART: Final = "systemctl stop wandb-local && systemctl restart docker && systemctl start wandb-local"
# Those that Docker itself names as current; "overlayfs" is containerd's, the default of new installations since 29.
_STORAGE: Final = frozenset({"overlay2", "overlayfs", "btrfs", "zfs"})


def version(daemon: Daemon, _: Settings) -> Finding:
    """W&B: 20.10.10 or later."""
    shown = str(daemon.version.get("Version", ""))
    found = _VERSION.match(shown)
    if found is None:
        return note(f'the daemon calls its version "{shown}"', needed="20.10.10 or later")
    if tuple(map(int, found.groups())) < _OLDEST:
        return fail(shown, needed="20.10.10 or later", remedy="apt update && apt install docker.io")
    return passed(shown)


def start_at_boot(_daemon: Daemon, _: Settings) -> Finding:
    """Whether systemd starts it, or the socket by which the server's unit finds it."""
    try:
        with Bus() as bus:
            states = {unit: str(bus.properties(unit).get("UnitFileState", "")) for unit in _UNITS}
    except WbagentError as error:
        return note(f"not looked at: {error.message}", remedy=error.hint)
    return judge_start(states)


_UNITS: Final = ("docker.service", "docker.socket")


def judge_start(states: dict[str, str]) -> Finding:
    """One of the two is enough: wandb-local.service pulls the daemon in."""
    on = [unit for unit, state in states.items() if state in _STARTED]
    if on:
        return passed(f"{', '.join(on)} enabled")
    return warn("neither docker.service nor docker.socket is enabled", needed="one of them",
                remedy="systemctl enable docker.service docker.socket")  # fmt: skip


def live_restore(daemon: Daemon, _: Settings) -> Finding:
    """Whether containers outlive the daemon."""
    if daemon.info.get("LiveRestoreEnabled"):
        return passed("on: the server stays up while Docker restarts")
    if (daemon.info.get("Swarm") or {}).get("LocalNodeState") == "active":
        return note("off, as Swarm mode wants it", needed="a Docker without Swarm mode for live-restore")
    return warn("off", needed='"live-restore": true', remedy=_into_daemon_file('"live-restore": true'))


def _into_daemon_file(setting: str, then: str = "systemctl reload docker") -> str:
    """How to add a setting, and `then` have it taken: a file that is there may hold others."""
    if DAEMON_FILE.exists():
        return f"{setting}    # within the braces of {DAEMON_FILE}\n{then}"
    return f"echo '{{{setting}}}' > {DAEMON_FILE} && {then}"


def log_driver(daemon: Daemon, _: Settings) -> Finding:
    """Whether there is the one that the server's container is made with."""
    if "journald" in ((daemon.info.get("Plugins") or {}).get("Log") or ()):
        return passed("journald is there")
    return fail("this Docker has no log driver journald", needed="Docker with journald", remedy="apt install docker.io")


def storage(daemon: Daemon, _: Settings) -> Finding:
    """The driver, and where all of it lies."""
    driver, root = str(daemon.info.get("Driver", "")), daemon.info.get("DockerRootDir", "")
    if driver in _STORAGE:
        return passed(f"{driver} in {root}")
    if driver == "vfs":
        return warn(
            f"vfs in {root}: every layer of an image is a whole copy of it",
            needed="overlay2, for which the file system below has to be ext4, or XFS with ftype=1",
            remedy=f"findmnt --target {root}    # then put Docker's data-root on such a one",
        )
    return warn(f"{driver} in {root}", needed="overlay2", remedy="see docs.docker.com, select a storage driver")


def limits(daemon: Daemon, _: Settings) -> Iterator[Finding]:
    """Which limits Docker can set, and whether a slice can hold the container."""
    info = daemon.info
    names = {"memory": "MemoryLimit", "processors": "CpuCfsQuota"}
    if missing := [name for name, key in names.items() if not info.get(key)]:
        yield warn(
            f"Docker cannot limit {' and '.join(missing)}: the kernel has no such controller",
            needed="the guide's limits of 8 GB and 4 processors",
            remedy="cat /sys/fs/cgroup/cgroup.controllers    # must name cpu and memory",
        )
    if any("rootless" in option for option in info.get("SecurityOptions") or ()):
        yield fail("the daemon is rootless", needed="the system's own daemon", remedy="apt install docker.io")
    if info.get("CgroupVersion") != "2":
        yield note(
            "cgroup v1, which systemd no longer supports", needed="cgroup v2: systemd.unified_cgroup_hierarchy=1"
        )
    elif info.get("CgroupDriver") != "systemd":
        yield note(
            f"the cgroup driver is {info.get('CgroupDriver')}: the container is not within wandb.slice",
            needed='"exec-opts": ["native.cgroupdriver=systemd"]',
            # A reload does not take it, and no container may run meanwhile.
            remedy=_into_daemon_file('"exec-opts": ["native.cgroupdriver=systemd"]', _WITH_A_RESTART),
        )
    elif not missing:
        yield passed("memory and processors, by cgroup v2")
