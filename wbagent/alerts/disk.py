"""The disk alerts: file systems that are nearly full, full, out of inodes, or full soon at the present pace."""

from __future__ import annotations

import json
from collections.abc import Iterable, Set
from dataclasses import replace
from pathlib import Path
from typing import Final

from wbagent.alerts.condition import Condition
from wbagent.alerts.watch import Seen
from wbagent.alerts.words import say
from wbagent.config import Settings
from wbagent.config.monitor import DiskSettings
from wbagent.database.connection import session
from wbagent.database.local import is_local
from wbagent.errors import DatabaseError, StateError
from wbagent.moment import Moment
from wbagent.monitor import trend
from wbagent.monitor.disk import Asker, FileSystem, Space, file_systems
from wbagent.monitor.rules import Severity
from wbagent.monitor.sample import Sample
from wbagent.monitor.samples import Samples
from wbagent.quantities import format_duration, format_size
from wbagent.state_directory import state_directory

LOW: Final = "disk-low"
FULL: Final = "disk-full"
INODES: Final = "disk-inodes"
FILLING: Final = "disk-filling"
HANGS: Final = "disk-hangs"
KINDS: Final = frozenset({LOW, FULL, INODES, FILLING, HANGS})

DAEMON_FILE: Final = Path("/etc/docker/daemon.json")
FREE: Final = "wbagent_disk_free_bytes"
INODES_FREE: Final = "wbagent_disk_free_inodes"
# The past is read this often, and MySQL asked for its directory (seconds).
_PAST_EVERY_S: Final = 600.0
_BUCKET_S: Final = 600
_TREND_FOR_S: Final = 1800.0


class DiskWatch:
    """The file systems that the server, its database and this agent write to."""

    kinds = KINDS

    def __init__(self) -> None:
        self._asker = Asker()
        self._data_directory = ""
        self._ends: dict[str, float] = {}
        self._read_at = float("-inf")
        self._amiss: dict[str, Set[str]] = {}

    def every(self, settings: Settings) -> float | None:
        """As [monitor.disk] says."""
        disk = settings.monitor.disk
        return disk.sample_every if disk.enabled else None

    def look(self, settings: Settings, now: Moment) -> Seen:
        """Ask every file system; one that hangs takes some seconds of this thread, once a look."""
        past_is_due = now.boottime - self._read_at >= _PAST_EVERY_S
        if past_is_due:
            self._data_directory = data_directory(settings, self._data_directory)
        written = places(settings, self._data_directory)
        answers = self._asker.answers(path for _, path in written)
        found = file_systems([(what, answers[path]) for what, path in written])
        if past_is_due:
            self._ends, self._read_at = ends(found, now), now.boottime
        conditions: list[Condition] = []
        for each in found:
            full_in = _sooner(self._ends, each.point, now.boottime - self._read_at)
            conditions += self._known(each, conditions_of(settings, each, full_in))
        return Seen(tuple(conditions), tuple(sample for each in found for sample in samples_of(each)))

    def _known(self, each: FileSystem, found: tuple[Condition, ...]) -> Iterable[Condition]:
        """Of one that cannot be looked at, that, and what was amiss when it last could be."""
        if each.space is None:
            amiss = self._amiss.get(each.point, frozenset())
            return [one for one in found if one.kind in {HANGS, FULL} | amiss]
        self._amiss[each.point] = {one.kind for one in found if (one.value or 0.0) >= one.above}
        return found


def places(settings: Settings, mysql: str) -> list[tuple[str, str]]:
    """(what lives there, path); a name of the texts' table disk-low, or the path itself."""
    found = [("mysql", mysql)] if mysql else []
    if settings.server is not None:
        docker = docker_root()
        volume = settings.server.volume
        found.append(("volume", volume if volume.startswith("/") else f"{docker}/volumes/{volume}/_data"))
        found.append(("docker", docker))
    found.append(("state", str(state_directory())))
    return found + [(path, path) for path in settings.monitor.disk.paths]


def docker_root(configuration: Path = DAEMON_FILE) -> str:
    """Docker's root directory: as dockerd's configuration file says, else where it is by default."""
    try:
        found = json.loads(configuration.read_text()).get("data-root")
    except (OSError, ValueError, AttributeError):
        found = None
    return found if isinstance(found, str) and found.startswith("/") else "/var/lib/docker"


def data_directory(settings: Settings, known: str) -> str:
    """Where MySQL keeps its data, when it runs on this very host; "" else. An embedded one is in the volume.

    While it does not answer, what is `known` from before counts, else where packages put it.
    """
    url = settings.database_url()
    embedded = settings.database is None and settings.server is not None and settings.server.embedded
    if url is None or embedded or not is_local(url):
        return ""
    try:
        with session(url, read_timeout=10.0) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT @@datadir")
            row = cursor.fetchone()
    except DatabaseError:
        row = None
    return str(row[0]) if row else known or "/var/lib/mysql"


def samples_of(each: FileSystem) -> Iterable[Sample]:
    """What is kept of one look at a file system."""
    if each.space is None:
        return
    labels = (("path", each.point),)
    yield Sample("wbagent_disk_size_bytes", float(each.space.size), labels)
    yield Sample(FREE, float(each.space.available), labels)
    if each.space.inodes:
        yield Sample(INODES_FREE, float(each.space.inodes_free), labels)


def ends(systems: Iterable[FileSystem], now: Moment) -> dict[str, float]:
    """Seconds until the space or the inodes of a file system are used up, by mount point; where there is a trend."""
    found: dict[str, float] = {}
    try:
        with Samples(read_only=True) as samples:
            for each in systems:
                if each.space is None:
                    continue
                kinds = ((FREE, each.space.available, each.space.size),
                         (INODES_FREE, each.space.inodes_free, each.space.inodes))  # fmt: skip
                for name, left, whole in kinds:
                    seconds = end_of(samples, name, each.point, left, whole, now.wall)
                    if seconds is not None:
                        found[each.point] = min(seconds, found.get(each.point, seconds))
    except StateError:
        # No past yet, or a damaged one: the agent tells of that where it writes it.
        return {}
    return found


def end_of(samples: Samples, name: str, point: str, left: float, whole: float, now: float) -> float | None:
    """Seconds until what is `left` of space or inodes is used up; None: there is no trend. Raises StateError."""
    past = samples.read(name, (("path", point),), now - trend.WINDOW_S, _BUCKET_S)
    points = [(float(bucket.at), bucket.mean) for bucket in past if bucket.at <= now]
    return trend.seconds_left(points, left, whole) if whole else None


def _sooner(ends: dict[str, float], point: str, passed: float) -> float | None:
    return max(1.0, ends[point] - passed) if point in ends else None


def conditions_of(settings: Settings, each: FileSystem, full_in: float | None) -> tuple[Condition, ...]:
    """One look at a file system: `full_in` seconds it is full, at the present pace (None: it does not fill)."""
    disk, space = settings.monitor.disk, each.space
    hangs = Condition(
        HANGS,
        float(each.hangs),
        severity=Severity.CRITICAL,
        about=each.point,
        for_seconds=disk.for_minutes * 60,
        every=disk.sample_every,
        facts=_facts(settings.alerts.language, each, full_in),
        no_data=each.problem,
    )
    full = replace(
        hangs,
        kind=FULL,
        value=space.used_percent if space else None,
        above=disk.critical_percent,
        measured_in="percent",
        because_of=(hangs.fingerprint,),
    )
    # What cannot be looked at is told once.
    warning = replace(full, severity=Severity.WARNING, no_data_for=float("inf"))
    inodes = replace(warning, kind=INODES, value=space.inodes_percent if space else None, above=disk.inodes_percent)
    causes = (hangs.fingerprint, full.fingerprint)
    lowness = _lowness(disk, space) if space else None
    low = replace(
        warning,
        kind=LOW,
        value=lowness,
        above=disk.above_percent,
        # Where `free_below` made it low, the percentage is not what was judged.
        measured_in="percent" if space and lowness == space.used_percent else "",
        because_of=causes,
    )
    filling = replace(
        warning,
        kind=FILLING,
        value=(disk.full_within / full_in if full_in else 0.0) if space else None,
        above=1.0,
        measured_in="",
        for_seconds=_TREND_FOR_S,
        resolve_for=_TREND_FOR_S,
        because_of=(*causes, low.fingerprint, inodes.fingerprint),
    )
    return hangs, full, low, inodes, filling


def _lowness(disk: DiskSettings, space: Space) -> float:
    """Percent used; at least the limit when too few bytes are left."""
    short = disk.free_below is not None and space.available < disk.free_below
    return max(space.used_percent, disk.above_percent) if short else space.used_percent


def _facts(language: str, each: FileSystem, full_in: float | None) -> dict[str, object]:
    here = ", ".join(say(language, f"{LOW}.{what}") or what for what in each.holds)
    holds = f" ({here})" if here != each.point else ""
    facts: dict[str, object] = {"path": each.point, "holds": holds, "used": "", "free": "", "size": "", "inodes": ""}
    if each.space is not None:
        facts |= {
            "used": f"{each.space.used_percent:.0f} %",
            "free": format_size(each.space.available),
            "size": format_size(each.space.size),
            "inodes": f"{each.space.inodes_percent:.0f} %",
        }
    facts["full_in"] = format_duration(full_in) if full_in else ""
    facts["pace"] = say(language, f"{LOW}.soon", facts) if full_in else ""
    return facts
