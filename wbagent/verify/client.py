"""Finds the `wandb` client, and runs its `wandb verify` to the end or to the time limit."""

from __future__ import annotations

import os
import selectors
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from wbagent.checks.scratch import Scratch
from wbagent.config.layers import readable_by_others
from wbagent.errors import ConfigError, UsageError
from wbagent.verify.output import label_in
from wbagent.verify.sandbox import environment, temporary_home, unprivileged

# Its longest step is a sweep of nine runs, 45 s on a server that answers at once; a request may take it a minute.
TIME_LIMIT_S: Final = 900.0
# Its crash reports go to its maker.
_QUIET: Final = {"WANDB_ERROR_REPORTING": "false"}
_VERSION_LIMIT_S: Final = 60.0
_MOST: Final = 4 << 20
_SYSTEM_TRUST: Final = Path("/etc/ssl/certs/ca-certificates.crt")


@dataclass(frozen=True, slots=True)
class Client:
    """The program, and what it says that it is, such as "wandb, version 0.31.0"."""

    path: str
    version: str


@dataclass(frozen=True, slots=True)
class Ended:
    """What it printed, stdout and stderr as they came; `status` None when it was ended at the time limit."""

    output: str
    status: int | None


def find_client(scratch: Scratch, directory: Path) -> Client | None:
    """That of the environment in `directory`, else that on PATH, else None; raises UsageError for one of no use."""
    own = directory / "bin" / "wandb"
    path = str(own) if own.exists() else shutil.which("wandb")
    if path is None:
        return None
    with temporary_home(scratch) as home:
        ended = _run([path, "--version"], environment(home), home, scratch, _VERSION_LIMIT_S)
    said = ended.output.strip().splitlines()
    if ended.status != 0 or not said:
        raise UsageError(
            f"{path} does not run as a user without rights: {said[-1] if said else f'status {ended.status}'}",
            hint="wbagent verify --install-client makes one of its own",
        )
    return Client(path, said[-1])


def verify(
    client: Client,
    host: str,
    api_key: str,
    authorities: Sequence[Path],
    scratch: Scratch,
    *,
    now_at: Callable[[str], None] = lambda _: None,
    limit_s: float = TIME_LIMIT_S,
) -> Ended:
    """Run it against `host`; `now_at` is called with the label of each of its steps as it begins.

    Invariant: the key is in the environment of that program alone, as the client wants it, and nowhere in `output`.
    """
    with temporary_home(scratch) as home:
        of_client = environment(home) | {"WANDB_API_KEY": api_key, "WANDB_BASE_URL": host, **_QUIET}
        if authorities:
            of_client |= _trusting(authorities, home)
        ended = _run([client.path, "verify", "--host", host], of_client, home, scratch, limit_s, Labels(now_at).take)
    return Ended(ended.output.replace(api_key, "***"), ended.status)


def read_api_key(path: Path) -> str:
    """The key that a file holds; raises ConfigError without telling it."""
    try:
        if readable_by_others(path):
            raise ConfigError(f"{path} holds a secret and every user may read it", hint=f"chmod 0600 {path}")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(f"{path}: cannot be read: {reason}", hint="name a file with the API key alone") from None
    return checked_api_key(text, str(path))


def checked_api_key(text: str, where: str) -> str:
    """The key without the space around it; raises ConfigError for what cannot be one."""
    key = text.strip()
    if not key.isascii() or not key.isprintable() or " " in key or not 20 <= len(key) <= 500:
        raise ConfigError(
            f"{where}: expected an API key alone, 40 characters or more, got {len(key)} characters",
            hint="copy it from the address /authorize of your server",
        )
    return key


class Labels:
    """Tells of the label of the last line as soon as it stands there: its end is printed when the step ends."""

    def __init__(self, now_at: Callable[[str], None]) -> None:
        self._now_at = now_at
        self._line = ""
        self._told = ""

    def take(self, text: str) -> None:
        """The next piece of the output."""
        self._line = (self._line + text).rpartition("\n")[2] if "\n" in text else self._line + text
        label = label_in(self._line)
        if label and label != self._told:
            self._told = label
            self._now_at(label)


def _trusting(authorities: Sequence[Path], home: Path) -> dict[str, str]:
    """The client's Python looks at a bundle of its own, not at the host's: give it one with these in it."""
    bundle = home / "authorities.pem"
    files = [path for path in (_SYSTEM_TRUST, *authorities) if path.exists()]
    # The directory is that user's already: nothing is followed that somebody put there.
    with bundle.open("xb") as file:
        os.fchmod(file.fileno(), 0o644)
        file.write(b"\n".join(path.read_bytes() for path in files))
    return {"REQUESTS_CA_BUNDLE": str(bundle), "SSL_CERT_FILE": str(bundle)}


def _run(
    command: Sequence[str],
    of_program: Mapping[str, str],
    home: Path,
    scratch: Scratch,
    limit_s: float,
    heard: Callable[[str], None] = lambda _: None,
) -> Ended:
    until, said = time.monotonic() + limit_s, bytearray()
    running: list[subprocess.Popen[bytes]] = []

    def end() -> None:
        for each in running:
            _end(each)

    # Also when all is interrupted: it has a session of its own, which a terminal's Ctrl-C does not reach.
    with scratch.removed(end):
        program = _start(command, of_program, home)
        running.append(program)
        in_time = _listen(program, said, until, heard)
        try:
            status = program.wait(max(until - time.monotonic(), 1.0)) if in_time else None
        except subprocess.TimeoutExpired:
            status = None
    return Ended(said.decode(errors="replace"), status)


def _start(command: Sequence[str], of_program: Mapping[str, str], home: Path) -> subprocess.Popen[bytes]:
    rights: dict[str, Any] = unprivileged()
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(of_program),
            cwd=home,
            start_new_session=True,
            **rights,
        )
    except OSError as error:
        raise UsageError(
            f"{command[0]} cannot be run by a user without rights: {error.strerror}",
            hint="wbagent verify --install-client makes one of its own",
        ) from None


def _listen(program: subprocess.Popen[bytes], said: bytearray, until: float, heard: Callable[[str], None]) -> bool:
    """Read until the program closes its output; False when the time came first."""
    assert program.stdout is not None  # noqa: S101 - it was asked for
    with selectors.DefaultSelector() as selector:
        selector.register(program.stdout, selectors.EVENT_READ)
        while (left := until - time.monotonic()) > 0:
            # The client's service may hold the pipe for longer than the client lives.
            if not selector.select(min(left, 1.0)):
                if program.poll() is not None:
                    return True
                continue
            data = os.read(program.stdout.fileno(), 65536)
            if not data:
                return True
            said += data[: _MOST - len(said)]
            heard(data.decode(errors="replace"))
    return False


def _end(program: subprocess.Popen[bytes]) -> None:
    """End it and what it started, which has sessions of its own, and let go of its output."""
    if program.poll() is None:
        _kill(program)
    if program.stdout is not None:
        program.stdout.close()


def _kill(program: subprocess.Popen[bytes]) -> None:
    try:
        family = [psutil.Process(program.pid), *psutil.Process(program.pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for process in family:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    program.wait()
