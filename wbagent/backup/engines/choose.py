"""Which engine takes the backup, and why: clone where it can be had, else mydumper, else mysqldump."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wbagent.backup.engines.clone import Clone
from wbagent.backup.engines.clone_checks import why_no_clone
from wbagent.backup.engines.clone_directory import look_at
from wbagent.backup.engines.engine import Engine, UnfitError, WhyNot
from wbagent.backup.engines.mydumper import Mydumper, room
from wbagent.backup.engines.mydumper_checks import find_program, loses, why_no_mydumper
from wbagent.backup.engines.mysqldump import Mysqldump
from wbagent.backup.progress import Reporter
from wbagent.backup.source import Source
from wbagent.config import embedded as own
from wbagent.config.dsn import MysqlURL
from wbagent.config.model import BackupSettings
from wbagent.database.clone import read_clone_facts
from wbagent.database.connection import session
from wbagent.database.local import is_local

_AT_HAND: Final = "the server's files are on this host"
_EMBEDDED: Final = WhyNot("the embedded server's files are in its container", "wbagent server externalize")


@dataclass(frozen=True, slots=True)
class Choice:
    """An engine, and why it and no other."""

    engine: Engine
    reason: str


@dataclass(frozen=True, slots=True)
class Offer:
    """What there is to choose from: settings, the database, and the directory that mydumper's files wait in."""

    settings: BackupSettings
    url: MysqlURL
    source: Source
    staging: Path
    report: Reporter

    def clone(self) -> Clone | WhyNot:
        """Raises DatabaseError."""
        if self.url == own.MYSQL:
            return _EMBEDDED
        directory, source = Path(self.settings.clone_directory), self.source
        with session(self.url) as connection:
            facts = read_clone_facts(connection, source.server, source.database.name)
        refusal = why_no_clone(source.server, source.database, facts, look_at(directory), same_host=is_local(self.url))
        return refusal or Clone(self.url, directory, source, facts, self.report)

    def mydumper(self) -> Mydumper | WhyNot:
        """With all its faults, which are in its warnings."""
        program = find_program(self.settings.mydumper)
        if isinstance(program, WhyNot):
            return program
        space = room(self.staging)
        if isinstance(space, WhyNot):
            return space
        refusal = why_no_mydumper(self.url, self.source, space)
        level = self.settings.compression_level
        return refusal or Mydumper(self.url, program, self.source, self.staging, level, self.report)

    def exact_mydumper(self) -> Mydumper | WhyNot:
        """Only where it takes everything along that mysqldump does."""
        lost = loses(self.source.database)
        return WhyNot(lost, 'engine = "mydumper" in [backup] takes that on') if lost else self.mydumper()

    def mysqldump(self) -> Mysqldump:
        """Raises BackupError, DatabaseError."""
        return Mysqldump(self.url, self.settings.mysqldump, self.source)


def choices(offer: Offer, *, loadable: bool = False) -> Iterator[Choice]:
    """The engine that is configured; or with "auto" all that can be had, the best first.

    A `loadable` backup is mysqldump's, whatever is configured.
    The next one is looked at when the one before it turned out unfit, and it is asked for. Raises UnfitError with the
    reason when the configured one cannot be used, BackupError, DatabaseError.
    """
    if loadable:
        yield Choice(offer.mysqldump(), "asked for by an upgrade, which may have to load it back")
        return
    wanted = offer.settings.engine
    if wanted == "auto":
        yield from _best_first(offer)
        return
    engine = {"clone": offer.clone, "mydumper": offer.mydumper, "mysqldump": offer.mysqldump}[wanted]()
    if isinstance(engine, WhyNot):
        raise UnfitError(f'[backup] engine = "{wanted}" is not possible: {engine.reason}', hint=engine.remedy)
    yield Choice(engine, "as configured")


def _best_first(offer: Offer) -> Iterator[Choice]:
    passed_over: list[str] = []
    for name, find in (("clone", offer.clone), ("mydumper", offer.exact_mydumper), ("mysqldump", offer.mysqldump)):
        engine = find()
        if isinstance(engine, WhyNot):
            passed_over.append(f"{name} is not possible: {engine.reason} ({engine.remedy})")
        else:
            yield Choice(engine, f"auto: {'; '.join(passed_over) or _AT_HAND}")
