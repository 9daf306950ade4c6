"""One archive for W&B's support: everything collected, every text without secrets, a manifest of what is in it."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import secrets
import socket
import tarfile
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final

from wbagent import __version__
from wbagent.durable import new_file, sync_directory
from wbagent.errors import UsageError
from wbagent.support.collecting import ROOM, Collected, Collector
from wbagent.support.contents import Part, environment, parts
from wbagent.support.known_secrets import known_secrets
from wbagent.support.masking import MASK, Masking

MANIFEST: Final = "manifest.json"
_AT_ONCE: Final = 4
# What an operator gave a unit in a drop-in may be a secret.
_GIVEN: Final = re.compile(r"^(\s*(?:Environment|SetCredential(?:Encrypted)?)=)(?:\\\n|[^\n])+", re.MULTILINE)
_ABOUT: Final = (
    f"Secrets are replaced by {MASK}: those in the configuration, in credentials and in the container's environment,"
    " however they are written, and what looks like one. Names of hosts, addresses and accounts are not."
)


@dataclass(frozen=True, slots=True)
class Bundle:
    """What was written: how many files, the archive's bytes, and what could not be had or not whole, and why."""

    path: Path
    files: int
    size: int
    missing: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _File:
    """One file of the archive, masked."""

    name: str
    what: str
    text: str
    missing: str


def make(configuration: Path, path: Path, progress: Callable[[str], None] = lambda _: None) -> Bundle:
    """Collect, mask and write it, whole or not at all, for its owner's eyes only. Raises UsageError.

    Invariant: every text in it, the manifest included, has passed `Masking.mask`.
    """
    if not path.name.endswith((".tar.gz", ".tgz", ".tar.zst")):
        raise UsageError(f"{path}: expected a name that ends in .tar.gz or .tar.zst", hint="-o support.tar.gz")
    if not path.parent.is_dir():
        raise UsageError(f"there is no directory {path.parent}", hint="name another -o")
    known = known_secrets(configuration)
    masking = Masking(known.secrets, known.values, known.names)
    with tempfile.TemporaryDirectory(prefix="wbagent-support-", dir=ROOM) as room:
        files = _collect(parts(configuration, Path(room) / "report.html"), masking, progress)
    there = [each for each in files if each.text]
    manifest = _File(MANIFEST, "", masking.mask(_manifest(files)), "")
    size = _write(path, [manifest, *there])
    return Bundle(path, len(there) + 1, size, {each.name: each.missing for each in files if each.missing})


def _collect(wanted: tuple[Part, ...], masking: Masking, progress: Callable[[str], None]) -> list[_File]:
    collector = Collector(environment())
    files: list[_File] = []
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        asked = {pool.submit(_ask, collector, part): part for part in wanted}
        try:
            for future in as_completed(asked):
                part, found = asked[future], future.result()
                text = masking.mask(_GIVEN.sub(rf"\1{MASK}", found.text)) if found.text.strip() else ""
                files.append(_File(part.name, part.what, text, masking.mask(found.missing)))
                progress(f"{len(files)} of {len(wanted)}: {part.name}")
        except BaseException:
            collector.stop()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return sorted(files, key=lambda each: each.name)


def _ask(collector: Collector, part: Part) -> Collected:
    found = collector.run(part.command, limit_s=part.limit_s, most_bytes=part.most_bytes, newest=part.newest)
    if part.file is None:
        return found
    try:
        return Collected(part.file.read_text(encoding="utf-8"), found.missing)
    except OSError:
        return Collected("", found.missing or found.text)


def _manifest(files: list[_File]) -> str:
    document = {
        "host": socket.gethostname(),
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "made_by": f"wbagent {__version__}",
        "as_root": os.geteuid() == 0,
        "about": _ABOUT,
        "files": {each.name: each.what for each in files if each.text},
        "empty": [each.name for each in files if not each.text and not each.missing],
        "missing": {each.name: f"{each.what}: {each.missing}" for each in files if each.missing},
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _write(path: Path, files: list[_File]) -> int:
    """Write the archive, whole or not at all; its size. Raises UsageError."""
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with new_file(fresh, 0o600) as file:
            _pack(file, path.name, files)
        fresh.replace(path)
        sync_directory(path.parent)
        return path.stat().st_size
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}", hint="name another -o") from None
    finally:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)


def _pack(file: IO[bytes], name: str, files: list[_File]) -> None:
    """All of them below one directory that is called as the archive."""
    top = name.partition(".t")[0]
    if name.endswith(".zst"):
        import zstandard  # noqa: PLC0415 - only where it is asked for

        with zstandard.ZstdCompressor().stream_writer(file, closefd=False) as packed:
            _tar(packed, top, files)
        return
    # Without the name that gzip notes otherwise, which is of the file before it got its own.
    with gzip.GzipFile("", "wb", fileobj=file) as packed:
        _tar(packed, top, files)


def _tar(packed: Any, top: str, files: list[_File]) -> None:
    now = int(time.time())
    with tarfile.open(fileobj=packed, mode="w|") as archive:
        for each in files:
            data = each.text.encode()
            entry = tarfile.TarInfo(f"{top}/{each.name}")
            entry.size, entry.mode, entry.mtime = len(data), 0o600, now
            archive.addfile(entry, io.BytesIO(data))
