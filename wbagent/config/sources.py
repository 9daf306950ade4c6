"""Which files the configuration comes from, and whether they are as they were; imports nothing heavy."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from wbagent import __version__

CREDENTIAL_PREFIX: Final = "wbagent."


def configuration_files(path: Path) -> list[Path]:
    """`path`, then `path`.d/*.toml in order."""
    return [path, *sorted(path.with_name(path.name + ".d").glob("*.toml"))]


def credentials_directory() -> Path | None:
    """What systemd passes to a unit that has credentials."""
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    return Path(directory) if directory else None


def credential_files(directory: Path | None) -> list[Path]:
    """Those of ours, in order."""
    return sorted(directory.glob(f"{CREDENTIAL_PREFIX}*")) if directory else []


def fingerprint(path: Path, secret_files: Iterable[str]) -> str:
    """One hash of all that decides about the settings: this release, and each file's name, rights and content.

    `secret_files` are those that KEY_file keys name. Raises OSError when one cannot be read.
    """
    digest = hashlib.sha256(__version__.encode())
    for file in [
        *configuration_files(path),
        *credential_files(credentials_directory()),
        *(Path(name) for name in secret_files),
    ]:
        content = file.read_bytes()
        digest.update(f"\0{file}\0{file.stat().st_mode:o}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()
