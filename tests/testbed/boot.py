"""The nspawn process of a host: started, watched until systemd inside says that it is up, ended."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.testbed import cgroup
from tests.testbed.bridge import Bridge, forget_machines
from tests.testbed.command import DeadlineError, kill_group, run
from tests.testbed.errors import BedError

# systemd(1): PID 1 shuts the system down on this signal.
_POWER_OFF = signal.SIGRTMIN + 4

_ENVIRONMENT = {
    # Docker needs a cgroup v2 tree of the host's own, whatever the outer machine uses, and writes to /proc/sys.
    "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
    "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "1",
    "SYSTEMD_SECCOMP": "0",
}


class Machine:
    """One host as nspawn sees it; may be started again after it has ended."""

    def __init__(self, name: str, bridge: Bridge, root: Path, binds: Sequence[tuple[Path, str]]) -> None:
        self._name = f"{name}-{bridge.number}"
        # Linux allows 15 characters for the name of the link's outer end.
        assert len(f"vb-{self._name}") <= 15, f"a host's name is too long: {name}"
        self._bridge = bridge
        self._root = root
        self._binds = binds
        self._group = f"{bridge.group}/{name}"
        self._process: subprocess.Popen[bytes] | None = None
        self.log = root.parent / "console.log"
        self.leader = 0

    @property
    def link(self) -> str:
        """The outer machine's end of the host's network link."""
        return f"vb-{self._name}"

    def start(self, *, finished: bool, timeout: float) -> None:
        """Start the host and wait until its PID 1 runs, or until its boot is `finished`.

        Raises DeadlineError, and BedError when the host ends instead, both with the end of its console.
        """
        with _notify_socket(self.log.with_name("notify")) as notifications:
            command = cgroup.command_in(cgroup.create(self._group), self._command())
            environment = os.environ | _ENVIRONMENT | {"NOTIFY_SOCKET": str(notifications.getsockname())}
            with self.log.open("ab") as log:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=environment,
                    start_new_session=True,
                )
            self._await_boot(notifications, finished, time.monotonic() + timeout)

    def _command(self) -> list[str]:
        return [
            *("systemd-nspawn", "--quiet", f"--directory={self._root}", "--boot", f"--machine={self._name}"),
            *("--register=no", "--keep-unit", "--notify-ready=yes", "--link-journal=no", "--console=read-only"),
            *("--resolv-conf=off", "--timezone=off", f"--network-bridge={self._bridge.name}"),
            *("--capability=all", "--system-call-filter=add_key keyctl bpf", "--bind=/dev/fuse"),
            *(f"--bind={source}:{target}" for source, target in self._binds),
        ]

    def _await_boot(self, notifications: socket.socket, finished: bool, deadline: float) -> None:
        assert self._process
        self.leader = 0
        ready = False
        while not self.leader or (finished and not ready):
            if self._process.poll() is not None:
                raise BedError(f"host {self._name} ended while it booted:\n{self._console()}")
            if time.monotonic() > deadline:
                raise DeadlineError(f"host {self._name} did not boot in time:\n{self._console()}")
            # Half a second is how late the death of nspawn itself is seen; its messages come at once.
            notifications.settimeout(0.5)
            try:
                message = notifications.recv(4096).decode(errors="replace")
            except TimeoutError:
                continue
            for line in message.splitlines():
                if line.startswith("X_NSPAWN_LEADER_PID="):
                    self.leader = int(line.partition("=")[2])
                    self.log.with_name("leader").write_text(str(self.leader))
                ready |= line == "READY=1"

    def _console(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]

    @property
    def runs(self) -> bool:
        """Whether the host is up, or on its way up or down."""
        return self._process is not None and self._process.poll() is None

    def power_off(self, timeout: float) -> None:
        """Shut the host down in order and wait for its end; raises DeadlineError."""
        os.kill(self.leader, _POWER_OFF)
        self.wait(timeout)

    def wait(self, timeout: float) -> None:
        """Wait until the host has ended by itself; raises DeadlineError."""
        assert self._process
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise DeadlineError(f"host {self._name} did not shut down within {timeout} s:\n{self._console()}") from None

    def kill(self) -> None:
        """End the host like a power cut: every process of it dies at once."""
        group = cgroup.hierarchy()
        if group:
            cgroup.kill(group / self._group)
        if self._process:
            kill_group(self._process)
            self._process.wait()
        # The kernel takes the host's network down some time later; its name is needed at the next boot.
        run(["ip", "link", "delete", self.link], check=False)
        forget_machines(self._name)
        # nspawn locks its root by the inode and leaves the empty file when it is killed.
        status = self._root.stat()
        Path(f"/run/systemd/nspawn/locks/inode-{status.st_dev}:{status.st_ino}").unlink(missing_ok=True)


@contextmanager
def _notify_socket(path: Path) -> Iterator[socket.socket]:
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(path))
        yield listening
