"""Backups in a directory of this host: what is used until an off-site bucket is configured."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from wbagent.bucket.store import Entry, NotAllowedError, NotStoredError
from wbagent.chunk import CHUNK
from wbagent.durable import sync_directory
from wbagent.errors import BucketError

_UNFINISHED: Final = ".unfinished"


class DirectoryStore:
    """Files below `root`: written beside their place, synced to disk, then renamed into it."""

    off_site = False

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def address(self) -> str:
        return str(self.root)

    def hurried(self) -> DirectoryStore:
        return self

    def check_ready(self) -> None:
        pass  # What it lacks shows when the first file is made, before anything is dumped.

    @contextmanager
    def writer(self, key: str, *, largest: int) -> Iterator[_FileWriter]:
        path = self._path(key)
        with _explained(path, "written"):
            self._make_directory(path.parent)
            writer = _FileWriter(path)
        try:
            yield writer
        finally:
            writer.discard()

    def put(self, key: str, data: bytes) -> None:
        with self.writer(key, largest=len(data)) as writer:
            # Small objects say what there is; the group may read them. What they speak of stays the owner's alone.
            writer.readable_by_group()
            writer.write(data)
            writer.commit()

    def get(self, key: str) -> Iterator[bytes]:
        path = self._path(key)
        with _explained(path, "read"), path.open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk

    def entries(self, prefix: str) -> Iterator[Entry]:
        base = self._path(prefix.rpartition("/")[0]) if "/" in prefix else self.root
        with _explained(base, "listed"):
            found = []
            for directory, _, names in os.walk(base, onerror=_raise_unless_missing):
                for name in names:
                    path = Path(directory, name)
                    key = path.relative_to(self.root).as_posix()
                    if key.startswith(prefix) and not name.endswith(_UNFINISHED):
                        # Removed since the directory was read, by another process's retention or lease.
                        with suppress(FileNotFoundError):
                            found.append(Entry(key, path.stat().st_size))
        yield from sorted(found, key=lambda entry: entry.key)

    def size(self, key: str) -> int:
        path = self._path(key)
        with _explained(path, "read"):
            return path.stat().st_size

    def delete(self, key: str) -> None:
        path = self._path(key)
        with _explained(path, "deleted"):
            path.unlink(missing_ok=True)
            try:
                path.parent.rmdir()
            except OSError as error:
                if error.errno not in {errno.ENOTEMPTY, errno.ENOENT, errno.EEXIST}:
                    raise

    def withdraw(self, keys: Iterable[str]) -> None:
        with suppress(BucketError):
            for key in keys:
                self.delete(key)

    def clear_unfinished(self, prefix: str) -> int:
        base = self._path(prefix.rstrip("/"))
        with _explained(base, "cleared"):
            left = [path for path in base.rglob(f"*{_UNFINISHED}") if path.is_file()]
            for path in left:
                path.unlink(missing_ok=True)
        return len(left)

    def _path(self, key: str) -> Path:
        if ".." in key.split("/") or key.startswith("/"):
            raise BucketError(f"{key!r} is not the name of a stored object")
        return self.root / key

    def _make_directory(self, path: Path) -> None:
        missing = [parent for parent in (path, *path.parents) if not parent.exists()]
        for directory in reversed(missing):
            directory.mkdir(mode=0o750, exist_ok=True)
            _give_to_owner_above(directory)
            sync_directory(directory.parent)


class _FileWriter:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._unfinished = path.with_name(path.name + _UNFINISHED)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        self._file = os.fdopen(os.open(self._unfinished, flags, 0o600), "wb")
        _give_to_owner_above(self._unfinished)

    def readable_by_group(self) -> None:
        os.fchmod(self._file.fileno(), 0o640)

    def write(self, data: bytes | memoryview) -> None:
        with _explained(self._path, "written"):
            self._file.write(data)

    def commit(self) -> None:
        with _explained(self._path, "written"):
            self._file.flush()
            os.fsync(self._file.fileno())
            self._unfinished.rename(self._path)
            sync_directory(self._path.parent)

    def discard(self) -> None:
        """Close it; what was not committed is gone."""
        # A full disk shows up here once more; the error that matters is on its way already.
        with suppress(OSError):
            self._file.close()
        self._unfinished.unlink(missing_ok=True)


def _give_to_owner_above(path: Path) -> None:
    """What root makes in a directory of user wbagent is wbagent's: the next backup has to write there too."""
    if os.geteuid() == 0:
        above = path.parent.stat()
        os.chown(path, above.st_uid, above.st_gid)


def _raise_unless_missing(error: OSError) -> None:
    if error.errno != errno.ENOENT:
        raise error


@contextmanager
def _explained(path: Path, done: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise NotStoredError(f"{path} does not exist", hint="see what there is: wbagent backup list --all") from None
    except PermissionError:
        raise NotAllowedError(f"{path} may not be {done} by this user", hint="run as root or as user wbagent") from None
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        raise BucketError(
            f"{path} could not be {done}: {error.strerror}",
            hint="make room, or better: name an off-site bucket in [backup] destination" if full else "check the disk",
        ) from None
