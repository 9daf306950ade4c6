"""File systems: which one a path is on, and how full it is; one that hangs holds up nobody but a thread of its own."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_MOUNTINFO: Final = Path("/proc/self/mountinfo")
# proc_pid_mountinfo(5): id, parent, device, root, mount point, … - kind, source, options; blanks and the like in octal.
_MOUNT: Final = re.compile(r"^\d+ \d+ (\d+:\d+) \S+ (\S+) [^\n]*? - (\S+) (\S*) (\S*)$", re.MULTILINE)
_OCTAL: Final = re.compile(r"\\([0-7]{3})")
# A disk answers in microseconds, a network file system in milliseconds.
LIMIT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Mount:
    """A mount point, and the device ("254:0") by which the same file system is known wherever it is mounted.

    `kind` is the file system's ("ext4"), `source` what it lies on ("/dev/vda"), `options` are its own.
    """

    point: str
    device: str
    kind: str = field(default="", compare=False)
    source: str = field(default="", compare=False)
    options: str = field(default="", compare=False)


def parse_mounts(text: str) -> tuple[Mount, ...]:
    """The mounts of /proc/self/mountinfo, in their order: a later one hides an earlier one at the same point."""
    return tuple(
        Mount(_plain(point), device, kind, _plain(source), _plain(options))
        for device, point, kind, source, options in _MOUNT.findall(text)
    )


def _mounts() -> tuple[Mount, ...]:
    # A name in another coding than ours (of a disk that somebody plugged in) must not keep us from the others.
    return parse_mounts(os.fsdecode(_MOUNTINFO.read_bytes()))


def _plain(field_of_a_line: str) -> str:
    return _OCTAL.sub(lambda found: chr(int(found[1], 8)), field_of_a_line)


def mount_of(path: str, mounts: Iterable[Mount]) -> Mount | None:
    """The mount that an absolute path without symbolic links is on: no file system is asked."""
    found: Mount | None = None
    for mount in mounts:
        within = path == mount.point or path.startswith(mount.point.rstrip("/") + "/")
        if within and (found is None or len(mount.point) >= len(found.point)):
            found = mount
    return found


@dataclass(frozen=True, slots=True)
class Space:
    """Bytes and inodes, as df(1) has them: what only root may fill is neither available nor part of the share.

    `inodes` is 0 where a file system has no fixed number of them.
    """

    size: int
    used: int
    available: int
    inodes: int
    inodes_free: int

    @classmethod
    def of(cls, found: os.statvfs_result) -> Space:
        """What statvfs(3) says."""
        used = (found.f_blocks - found.f_bfree) * found.f_frsize
        available = found.f_bavail * found.f_frsize
        return cls(found.f_blocks * found.f_frsize, used, available, found.f_files, found.f_favail)

    @property
    def used_percent(self) -> float:
        """Of what others than root may use."""
        usable = self.used + self.available
        return 100 * self.used / usable if usable else 0.0

    @property
    def inodes_percent(self) -> float:
        """Of all inodes."""
        return 100 * (1 - self.inodes_free / self.inodes) if self.inodes else 0.0


@dataclass(frozen=True, slots=True)
class FileSystem:
    """One file system: where it is mounted, what of ours is on it, and its space, or why that is not known."""

    point: str
    holds: tuple[str, ...]
    space: Space | None
    problem: str = ""
    hangs: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found out about one path; one whose file system `hangs` gave none."""

    mount: Mount | None
    space: Space | None
    problem: str = ""
    hangs: bool = False


def look_up(path: str) -> Answer:
    """The file system of a path, or of where the path would be; blocks as long as that file system does."""
    mounts = _mounts()
    real = os.path.realpath(path)
    mount = mount_of(real, mounts)
    problem = ""
    # The path itself may be out of this user's sight: then nothing is mounted further down than the mount point.
    for place in (real, mount.point if mount else real):
        try:
            return Answer(mount, Space.of(os.statvfs(place)))
        except OSError as error:
            problem = f"{place}: {error.strerror}"
    return Answer(mount, None, problem)


class Asker:
    """Asks about paths, each in a thread of its own, and waits for none longer than `limit` seconds.

    A path that hangs keeps its one thread until the file system answers or the process ends.
    """

    def __init__(self, ask: Callable[[str], Answer] = look_up, limit: float = LIMIT_S) -> None:
        self._ask = ask
        self._limit = limit
        self._asking: dict[str, threading.Thread] = {}

    def answers(self, paths: Iterable[str]) -> dict[str, Answer]:
        """Of every path, within the limit."""
        found: dict[str, Answer] = {}
        wanted = tuple(paths)
        began: set[str] = set()
        for path in wanted:
            if path in self._asking and not self._asking[path].is_alive():
                del self._asking[path]
            if path not in self._asking:
                began.add(path)
                thread = threading.Thread(target=self._put, args=(path, found), name=f"ask {path}", daemon=True)
                self._asking[path] = thread
                thread.start()
        until = time.monotonic() + self._limit
        for path in wanted:
            # One that hung before is not waited for again; what it answers in the end goes to an earlier call.
            if path in began:
                self._asking[path].join(max(0.0, until - time.monotonic()))
        return {path: found.get(path) or self._hangs(path) for path in wanted}

    def _put(self, path: str, found: dict[str, Answer]) -> None:
        try:
            found[path] = self._ask(path)
        except OSError as error:
            found[path] = Answer(None, None, f"{path}: {error.strerror}")

    def _hangs(self, path: str) -> Answer:
        mount = mount_of(os.path.normpath(path), _mounts())
        return Answer(mount, None, f"it does not answer within {self._limit:g} s", hangs=True)


def file_systems(answers: Sequence[tuple[str, Answer]]) -> tuple[FileSystem, ...]:
    """Each file system once, with all that lives on it: (what, answer about its path), in that order.

    It is named after the shortest of the mount points it was met at.
    """
    gathered: dict[str, list[tuple[str, Answer]]] = {}
    for what, answer in answers:
        if answer.mount:
            gathered.setdefault(answer.mount.device, []).append((what, answer))
    found = []
    for each in gathered.values():
        point = min((answer.mount.point for _, answer in each if answer.mount), key=lambda name: (len(name), name))
        known = next((answer for _, answer in each if answer.space), each[0][1])
        found.append(
            FileSystem(point, tuple(dict.fromkeys(what for what, _ in each)), known.space, known.problem, known.hangs)
        )
    return tuple(found)
