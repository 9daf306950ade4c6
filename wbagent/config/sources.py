"""Which files the configuration comes from, and whether they are as they were; imports nothing heavy."""

from __future__ import annotations

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


def snapshot(path: Path, secret_files: Iterable[str]) -> str:
    """All that decides about the settings as one text: this release, and each file's name, rights and content.

    `secret_files` are those that KEY_file keys name. It holds secrets; whoever keeps it keeps the settings too, and
    hashlib would take 3 ms of every restart to import. Raises OSError when one cannot be read.
    """
    files = [
        *configuration_files(path),
        *credential_files(credentials_directory()),
        *(Path(name) for name in secret_files),
    ]
    parts = [__version__]
    for file in files:
        content = file.read_bytes()
        # The length keeps two files apart whose contents, one after the other, are the same.
        parts.append(f"{file}\0{file.stat().st_mode:o}\0{len(content)}\0{content.decode('latin-1')}")
    return "\0".join(parts)
