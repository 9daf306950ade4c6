"""How fast the disk beneath the database answers: a scratch file beside the data is written and synced, and timed."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Final

from wbagent.checks.check import Finding, fail, note, passed, warn
from wbagent.checks.host.block_device import Disk, Kind, disks
from wbagent.checks.host.part import Database
from wbagent.checks.scratch import Scratch
from wbagent.errors import WbagentError
from wbagent.monitor.disk import look_up

# Enough for figures that repeat, and on a slow disk an end: whichever comes first.
_SYNCS: Final = 200
_FOR_S: Final = 4.0
_BLOCK: Final = bytes(4096)
# Left out of the mean at the slow end: one stall, which may be somebody else's, is no pace.
_LEFT_OUT: Final = 0.02
# A disk of 7200 turns a minute needs 8.3 ms a turn, so half of one, 4.2 ms, is the least that a sync waits for it on
# average. What is slower than that is no SSD. MySQL syncs twice a commit (redo log, then binary log), so beyond 25 ms
# fewer than 20 commits a second can follow each other, and every metric that is logged is one.
SLOW_MS: Final = 4.2
_FAILS_MS: Final = 25.0
# One commit that waits for so long is felt by whoever made it.
_STALL_MS: Final = 1000.0
# No disk answers this fast: the fastest with a cache that outlives a power cut take 0.02 ms.
_UNBELIEVABLE_MS: Final = 0.005


@dataclass(frozen=True, slots=True)
class Latency:
    """How long writing 4 KiB to its place on the disk took there: so many times, milliseconds.

    The mean is the pace. A disk with an allowance (a cloud's, a throttled one) answers some syncs at once and lets the
    next one wait, of which the median sees nothing.
    """

    directory: str
    syncs: int
    mean_ms: float
    median_ms: float
    worst_ms: float

    @classmethod
    def of(cls, directory: str, seconds: Sequence[float]) -> Latency:
        """What these times come to."""
        times = sorted(1000 * each for each in seconds)
        kept = times[: len(times) - int(_LEFT_OUT * len(times))]
        return cls(directory, len(times), fmean(kept), median(times), times[-1])

    def __str__(self) -> str:
        times = f"mean {_shown(self.mean_ms)}, median {_shown(self.median_ms)}, worst {_shown(self.worst_ms)}"
        return f"{times}, of {self.syncs} syncs in {self.directory}"


def _shown(milliseconds: float) -> str:
    """Two significant digits are all that a repetition bears out."""
    if milliseconds < 0.1:
        return f"{1000 * milliseconds:.2g} µs"
    return f"{milliseconds:.2g} ms" if milliseconds < 10 else f"{milliseconds:.0f} ms"


def kind(database: Database) -> Iterator[Finding]:
    """What the kernel knows of the disks beneath the database, where that is on this host."""
    if not database.directory:
        return
    directory = _existing(database.directory)
    mount = look_up(str(directory)).mount
    found = disks(mount) if mount is not None else ()
    for disk in found or (Disk(str(directory), Kind.UNKNOWN),):
        yield judge_kind(disk, str(directory))


def judge_kind(disk: Disk, directory: str) -> Finding:
    """A flag is a hint: what was measured counts."""
    what = f"{directory} is on {disk}"
    if disk.kind is Kind.SOLID:
        return passed(f"{what}: solid state")
    if disk.kind is Kind.MEMORY:
        return fail(f"{what}: it is gone after a reboot", needed="a disk", remedy=f"findmnt --target {directory}")
    if disk.kind is Kind.ROTATING:
        return warn(
            f"{what}: a rotating disk", needed="an SSD or accelerated NAS", remedy="move the database to an SSD"
        )
    if disk.kind is Kind.NETWORK:
        return note(f"{what}: whether that is an accelerated NAS, the measured speed says")
    if disk.kind is Kind.VIRTUAL:
        return note(f"{what}: a virtual disk, whose flag says nothing of what is beneath; the measured speed counts")
    return note(f"{what}: the kernel does not say of what kind it is; the measured speed counts")


def speed(database: Database, scratch: Scratch) -> Finding:
    """Measured where the data are, or would be."""
    if not database.directory:
        return note(
            f"the database is on {database.elsewhere}, whose disk cannot be measured from here",
            remedy=f"on {database.elsewhere}, where wbagent is installed with [database]: wbagent check host",
        )
    there = _existing(database.directory)
    directory = _beside(there) if str(there) == os.path.realpath(database.directory) else there
    try:
        return judge_speed(measure(directory, scratch))
    except PermissionError:
        return note(
            f"not measured: this user may not write to {directory}",
            remedy="run the command as root (sudo wbagent check)",
        )


def judge_speed(found: Latency) -> Finding:
    """The mean decides; the worst of many may be what others on the same disk did."""
    if found.median_ms < _UNBELIEVABLE_MS:
        return note(f"{found}: too fast for a disk, so a power cut may lose what was committed")
    if found.mean_ms > SLOW_MS:
        judged = fail if found.mean_ms > _FAILS_MS else warn
        return judged(
            f"{found}: {_commits(found)} one after another at most",
            needed=f"a mean below {SLOW_MS:g} ms, which a rotating disk cannot give: an SSD or accelerated NAS",
            remedy="move the database to an SSD; who else keeps this disk busy: iostat -x 5",
        )
    if found.worst_ms > _STALL_MS:
        return warn(
            f"{found}: single commits stall",
            needed="no sync that takes a second",
            remedy="who else keeps this disk busy: iostat -x 5",
        )
    return passed(f"{found}")


def _commits(found: Latency) -> str:
    return f"{max(1000 / (2 * found.mean_ms), 0.1):.2g} commits a second"


def measure(directory: Path, scratch: Scratch, syncs: int = _SYNCS, for_s: float = _FOR_S) -> Latency:
    """Append and fsync(2) as a binary log is written; at most so many times, and no longer than that.

    The file has a name, as a log has: one without is another thing to Btrfs, and unknown to NFS (docs/decisions/0029).
    """
    path = directory / f".wbagent-check-{secrets.token_hex(4)}"
    with scratch.removed(lambda: path.unlink(missing_ok=True)):
        # In a directory of MySQL's, no link that was put there is followed.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o600)
        try:
            # The first one also writes that the file exists.
            _sync(descriptor)
            times: list[float] = []
            until = time.monotonic() + for_s
            while len(times) < syncs and (not times or time.monotonic() < until) and not scratch.closed:
                times.append(_sync(descriptor))
        finally:
            os.close(descriptor)
    if not times:
        raise WbagentError("interrupted")
    return Latency.of(str(directory), times)


def _sync(descriptor: int) -> float:
    """Seconds."""
    os.write(descriptor, _BLOCK)
    begun = time.perf_counter()
    os.fsync(descriptor)
    return time.perf_counter() - begun


def _existing(path: str) -> Path:
    """The directory itself, or the one that it will be made in."""
    found = Path(os.path.realpath(path))
    while found != found.parent and not os.path.isdir(found):  # noqa: PTH112 - Path.is_dir() raises where this user may not look
        found = found.parent
    return found


def _beside(directory: Path) -> Path:
    """The directory around it where that is on the same file system: MySQL's own is left to MySQL."""
    parent = directory.parent
    try:
        same = parent.stat().st_dev == directory.stat().st_dev
    except OSError:
        return directory
    return parent if same and parent != directory and str(parent) != "/" else directory
