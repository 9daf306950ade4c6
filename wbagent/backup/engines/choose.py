"""Which engine takes the backup, and why: clone where it can be had, else mydumper, else mysqldump."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wbagent.backup.engines.clone import Clone
from wbagent.backup.engines.clone_checks import WhyNot, why_no_clone
from wbagent.backup.engines.clone_directory import look_at
from wbagent.backup.engines.engine import Engine, UnfitError
from wbagent.backup.engines.mysqldump import Mysqldump
from wbagent.backup.progress import Reporter
from wbagent.backup.source import Source
from wbagent.config import embedded as own
from wbagent.config.dsn import MysqlURL
from wbagent.config.model import BackupSettings
from wbagent.database.clone import read_clone_facts
from wbagent.database.connection import session
from wbagent.database.local import is_local

_EMBEDDED: Final = WhyNot("the embedded server's files are in its container", "wbagent server externalize")


@dataclass(frozen=True, slots=True)
class Choice:
    """The engine, why it and no other, and how to get another one if its beginning fails."""

    engine: Engine
    reason: str
    otherwise: Callable[[], Engine] | None = None


def choose(settings: BackupSettings, url: MysqlURL, source: Source, report: Reporter) -> Choice:
    """The engine that is configured, or with "auto" the best that can be had.

    Raises BackupError with the reason when a configured one cannot be used, and DatabaseError.
    """

    def mysqldump() -> Engine:
        return Mysqldump(url, settings.mysqldump, source)

    if settings.engine == "mysqldump":
        return Choice(mysqldump(), "as configured")
    clone = _clone(settings, url, source, report)
    if settings.engine == "clone":
        if isinstance(clone, WhyNot):
            raise UnfitError(f'[backup] engine = "clone" is not possible: {clone.reason}', hint=clone.remedy)
        return Choice(clone, "as configured")
    if isinstance(clone, WhyNot):
        return Choice(mysqldump(), f"auto: clone is not possible: {clone.reason} ({clone.remedy})")
    return Choice(clone, "auto: the server's files are on this host", mysqldump)


def _clone(settings: BackupSettings, url: MysqlURL, source: Source, report: Reporter) -> Clone | WhyNot:
    if url == own.MYSQL:
        return _EMBEDDED
    directory = Path(settings.clone_directory)
    with session(url) as connection:
        facts = read_clone_facts(connection, source.server, source.database.name)
    refusal = why_no_clone(source.server, source.database, facts, look_at(directory), same_host=is_local(url))
    return refusal or Clone(url, directory, source, facts, report)
