"""A booted host of the test bed: a root file system with systemd as PID 1, on the run's bridge."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Self

from tests.testbed import command
from tests.testbed.boot import Machine
from tests.testbed.bridge import Bridge
from tests.testbed.command import Result
from tests.testbed.disk import BOUND, give_identity, lay_over

_ENVIRONMENT = {
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
}


class Host:
    """One host; a context manager that boots it and leaves nothing of it behind.

    `tree` is a root file system that stays untouched; the host's changes outlast its reboots, and
    end with the run. `last` is the last number of its address; `names` are other machines'
    addresses for its /etc/hosts; `binds` are directories of the outer machine, bound into it.
    `root` is its root file system, to be written to before it boots.
    """

    def __init__(
        self,
        name: str,
        tree: Path,
        bridge: Bridge,
        last: int,
        *,
        names: Mapping[str, str] | None = None,
        binds: Mapping[Path, str] | None = None,
    ) -> None:
        self.name = name
        self.address = bridge.address(last)
        directory = bridge.directory / name
        self.root = lay_over(tree, directory)
        give_identity(self.root, name, bridge, self.address, names or {})
        bound = [(directory / path, f"/{path}") for path in BOUND] + list((binds or {}).items())
        self._machine = Machine(name, bridge, self.root, bound)

    def __enter__(self) -> Self:
        self.boot()
        return self

    def __exit__(self, *_: object) -> None:
        self.power_cut()

    # --- life ---

    def boot(self, *, finished: bool = True, timeout: float = 60) -> None:
        """Start the host and wait until its boot is finished; else only until its PID 1 runs."""
        self._machine.start(finished=finished, timeout=timeout)

    def shutdown(self, timeout: float = 90) -> None:
        """Shut the host down in order; `boot` starts it again."""
        self._machine.power_off(timeout)

    def power_cut(self) -> None:
        """Kill everything on the host at once; `boot` starts it again."""
        self._machine.kill()

    def reboot(self, *, finished: bool = True, timeout: float = 90) -> None:
        """Reboot as `systemctl reboot` does, each half within `timeout` seconds."""
        # The connection ends with the host, so the command's own status says nothing.
        self.run(["systemctl", "reboot"], check=False)
        self._machine.wait(timeout)
        self.boot(finished=finished, timeout=timeout)

    @property
    def runs(self) -> bool:
        """Whether the host is up."""
        return self._machine.runs

    @property
    def network(self) -> Path:
        """Its network namespace's file, as `nsenter --net` takes it; another one after each boot."""
        return Path(f"/proc/{self._machine.leader}/ns/net")

    def cut(self) -> None:
        """Cut the host's network link, as if its cable were pulled."""
        command.run(["ip", "link", "set", self._machine.link, "down"])

    def restore(self) -> None:
        """Put the network link back."""
        command.run(["ip", "link", "set", self._machine.link, "up"])

    @contextmanager
    def cut_off(self) -> Iterator[None]:
        """Keep the network link cut for the length of the `with` block."""
        self.cut()
        try:
            yield
        finally:
            self.restore()

    # --- commands ---

    def command(self, argv: Sequence[str], user: str | None = None) -> list[str]:
        """Return the outer machine's command line that runs `argv` on the host, as root or as `user`."""
        prefix = ["nsenter", f"--target={self._machine.leader}", "--all", "--wdns=/", "--", "env", "-i"]
        prefix += [f"{key}={value}" for key, value in _ENVIRONMENT.items()]
        if user:
            prefix += ["setpriv", f"--reuid={user}", f"--regid={self._group_of(user)}", "--init-groups", "--"]
        return [*prefix, *argv]

    def run(
        self,
        argv: Sequence[str],
        *,
        check: bool = True,
        user: str | None = None,
        input: str | bytes | IO[bytes] | None = None,  # noqa: A002 - the word that subprocess.run uses
        timeout: float = 60,
    ) -> Result:
        """Run a command on the host to its end; see `command.run` for the arguments and errors."""
        line = self.command(argv, user)
        return command.run(
            line, check=check, input=input, timeout=timeout, shown=[f"{user or 'root'}@{self.name}:", *argv]
        )

    @contextmanager
    def running(self, argv: Sequence[str], *, user: str | None = None) -> Iterator[subprocess.Popen[bytes]]:
        """Run a command on the host for the length of the `with` block; its output can be read from `stdout`."""
        with subprocess.Popen(
            self.command(argv, user),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process:
            try:
                yield process
            finally:
                command.kill_group(process)

    def kill(self, pid: int, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to the process with this id on the host."""
        self.run(["kill", "-s", number.name.removeprefix("SIG"), str(pid)])

    def _group_of(self, user: str) -> str:
        fields = self.run(["getent", "passwd", user]).stdout.split(":")
        return fields[3]

    # --- files ---

    def write(self, path: str, text: str | bytes, mode: int = 0o644, owner: str = "root:root") -> None:
        """Write a file on the host, with its directories; `owner` is USER:GROUP."""
        user, _, group = owner.partition(":")
        line = ["install", "-D", f"--mode={mode:o}", f"--owner={user}", f"--group={group}", "/dev/stdin", path]
        self.run(line, input=text)

    def read(self, path: str) -> str:
        """Return a file's text."""
        return self.run(["cat", path]).stdout

    def exists(self, path: str) -> bool:
        """Whether there is something at this path."""
        return self.run(["test", "-e", path], check=False).returncode == 0

    # --- systemd and Docker ---

    def properties(self, unit: str) -> dict[str, str]:
        """Return all properties of a unit, as `systemctl show` prints them."""
        shown = self.run(["systemctl", "show", unit]).stdout
        return dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)

    def journal(self, unit: str | None = None, *arguments: str) -> list[dict[str, Any]]:
        """Return the journal's entries, oldest first, of one unit as `journalctl -u` chooses them or of all."""
        line = ["journalctl", "--output=json", "--all", "--quiet", "--no-pager", *arguments]
        shown = self.run([*line, f"--unit={unit}"] if unit else line).stdout
        return [json.loads(entry) for entry in shown.splitlines()]

    def import_image(self, archive: Path, tag: str, changes: Sequence[str] = ()) -> None:
        """Make a Docker image of a tar of its tree; `changes` are Dockerfile lines such as `CMD ["/init"]`."""
        options = [word for change in changes for word in ("--change", change)]
        with archive.open("rb") as file:
            self.run(["docker", "import", *options, "-", tag], input=file, timeout=120)

    def __repr__(self) -> str:
        return f"<Host {self.name} at {self.address}: {shlex.join(self.command(['bash']))}>"
