"""Room on the file systems that the server, its database, Docker and this agent write to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from wbagent.checks.check import Finding, fail, note, passed, warn
from wbagent.checks.host.part import written_places
from wbagent.config import Settings
from wbagent.config.monitor import DiskSettings
from wbagent.monitor.disk import Asker, FileSystem, file_systems
from wbagent.quantities import format_size

_WORDS: Final = {"mysql": "the database", "docker": "Docker", "volume": "the server's volume", "state": "wbagent"}


def free_disk(settings: Settings, database: str) -> Iterator[Finding]:
    """Each file system once; `database` is where its files are, "" on another host."""
    # Before anything is configured there may be none, in the place where one would be.
    there = settings.database_url() is not None or Path(database).is_dir()
    places = written_places(settings, database if there else "")
    answers = Asker().answers(places)
    for each in file_systems([(what, answers[path]) for path, what in places.items()]):
        yield judge(each, settings.monitor.disk)


def judge(each: FileSystem, limits: DiskSettings) -> Finding:
    """Against the same limits as the alerts, so that what passes here raises none."""
    about, holds = each.point, ", ".join(_WORDS.get(what, what) for what in each.holds)
    if each.space is None:
        if each.hangs:
            return fail(
                f"{each.problem} ({holds})", needed="a file system that answers", remedy=f"df {about}", about=about
            )
        return note(f"cannot be looked at: {each.problem} ({holds})", remedy="run the command as root", about=about)
    space = each.space
    free = f"{format_size(space.available)} of {format_size(space.size)} free ({holds})"
    if space.used_percent >= limits.critical_percent:
        return fail(free, needed=f"less than {limits.critical_percent:g} % used", remedy=_remedy(about), about=about)
    if space.inodes_percent >= limits.inodes_percent:
        return warn(
            f"{space.inodes_percent:.0f} % of the inodes are used ({holds})",
            needed=f"less than {limits.inodes_percent:g} %",
            remedy=f"du --inodes -x -d 3 {about} | sort -n | tail",
            about=about,
        )
    if space.used_percent >= limits.above_percent or space.available < (limits.free_below or 0):
        return warn(
            free, needed=f"less than {limits.above_percent:g} % used, as the alerts", remedy=_remedy(about), about=about
        )
    return passed(free, about=about)


def _remedy(point: str) -> str:
    return f"du -x -d 3 {point} | sort -n | tail    # what Docker has that nobody uses: docker system df"
