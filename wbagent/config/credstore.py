"""The host's credential stores: what units are given, for commands that root types; and how new ones are sealed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from wbagent.config.sources import CREDENTIAL_PREFIX, credential_files
from wbagent.errors import ConfigError

# As ImportCredential= searches them (systemd.exec(5)): the first that has a name wins, plain ones come first.
PLAIN: Final = (
    Path("/run/credentials/@system"),
    Path("/etc/credstore"),
    Path("/run/credstore"),
    Path("/usr/local/lib/credstore"),
    Path("/usr/lib/credstore"),
)
ENCRYPTED: Final = (
    Path("/run/credentials/@encrypted"),
    *(directory.with_name("credstore.encrypted") for directory in PLAIN[1:]),
)
_PROGRAM: Final = "systemd-creds"


def stored_credentials(section: str = "") -> list[Path]:
    """The files of ours, each name once, of one section or of all; none that this user may not list."""
    found: dict[str, Path] = {}
    for directory in (*PLAIN, *ENCRYPTED):
        if os.access(directory, os.R_OK | os.X_OK):
            for path in credential_files(directory):
                found.setdefault(path.name, path)
    wanted = f"{CREDENTIAL_PREFIX}{section}." if section else CREDENTIAL_PREFIX
    return [path for name, path in sorted(found.items()) if name.startswith(wanted)]


def key_of(path: Path) -> tuple[str, ...]:
    """Which key of the configuration a credential sets."""
    return tuple(path.name.removeprefix(CREDENTIAL_PREFIX).split("."))


def seen_by(path: Path) -> str:
    """The command that shows a stored credential to root."""
    return f"systemd-creds decrypt {path} -" if path.parent in ENCRYPTED else f"cat {path}"


def unseal(path: Path) -> str:
    """The secret in a stored credential; raises ConfigError."""
    if path.parent not in ENCRYPTED:
        return path.read_text(encoding="utf-8").strip()
    done = _run(["decrypt", f"--name={path.name}", str(path), "-"], b"")
    if done.returncode:
        raise ConfigError(
            f"{path}: cannot be decrypted: {_complaint(done)}",
            hint="it was encrypted on another host or under another name: give the secret anew (systemd-creds(1))",
        )
    try:
        return done.stdout.decode("utf-8").strip()
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: what it holds is not UTF-8", hint="encrypt a text (systemd-creds(1))") from None


def why_not_sealed() -> str:
    """Why this host cannot encrypt credentials; "" when it can."""
    if shutil.which(_PROGRAM) is None:
        return f"{_PROGRAM} is not installed"
    done = _run(["encrypt", "--name=wbagent.probe", *_KEY, "-", "-"], b"a probe")
    return _complaint(done) if done.returncode else ""


def sealed(name: str, secret: str) -> bytes:
    """The encrypted credential of this name, which only this host can read. Raises ConfigError."""
    done = _run(["encrypt", f"--name={name}", *_KEY, "-", "-"], secret.encode())
    if done.returncode:
        raise ConfigError(f"{name} cannot be encrypted: {_complaint(done)}", hint="see systemd-creds(1)")
    return done.stdout


# With the TPM where there is one, but not with its measurements: an update of the firmware changes these, and the
# server would not start after the reboot. With the host's own key in any case.
_KEY: Final = ("--with-key=auto", "--tpm2-pcrs=")


def _run(arguments: list[str], secret: bytes) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([_PROGRAM, *arguments], input=secret, capture_output=True, check=False)


def _complaint(done: subprocess.CompletedProcess[bytes]) -> str:
    lines = done.stderr.decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), f"status {done.returncode}")[:200]
