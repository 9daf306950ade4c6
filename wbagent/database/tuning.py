"""What sets a MySQL server as W&B asks, for now and for after its next restart: pure decisions.

Source of SET PERSIST's rules: MySQL's manual, "Persisted System Variables". What it notes is read last at a start and
wins over every option file, so a setting is either persisted or in a file, and never in both with two values.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from wbagent.database.facts import Version
from wbagent.database.provisioning import Step
from wbagent.database.wanted import WANTED, Standing, Wanted, standing

_HEAD: Final = "# Written by `wbagent database tune`: what W&B's guide asks of MySQL.\n[mysqld]\n"
_ONLY_NOW: Final = "DYNAMIC"


@dataclass(frozen=True, slots=True)
class Settings:
    """What a server runs with, and what it will take up at its next start.

    `sources`: where each value is from, `persisted`: what SET PERSIST has noted, both empty before MySQL 8;
    `persists`: whether what it notes is read at a start; `lines`: of our own option file, by the names in them.
    """

    version: Version
    current: Mapping[str, str]
    sources: Mapping[str, str] = field(default_factory=dict)
    persisted: Mapping[str, str] = field(default_factory=dict)
    persists: bool = True
    lines: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """One setting that is not, or will not stay, as it is wanted."""

    wanted: Wanted
    now: str
    value: str
    steps: tuple[Step, ...]
    line: str
    restart: bool

    @property
    def how(self) -> str:
        """In a few words, for the table."""
        if self.restart:
            return "option file, restart"
        return "now and in the option file" if self.line else "now and for ever"


@dataclass(frozen=True, slots=True)
class Tuning:
    """What is to be changed, in the table's order, and how each setting that is there stands."""

    changes: tuple[Change, ...]
    standings: Mapping[str, Standing]

    @property
    def steps(self) -> tuple[Step, ...]:
        """All statements."""
        return tuple(step for change in self.changes for step in change.steps)

    @property
    def lines(self) -> dict[str, str]:
        """The lines for the option file, by the names of their settings."""
        return {change.wanted.name: change.line for change in self.changes if change.line}


def unknown() -> Settings:
    """A server that cannot be asked: one that has every setting, and none of them right."""
    return Settings((8, 4, 0), {each.name: "" for each in WANTED})


def plan_tuning(found: Settings, *, newer: bool = False, in_file: bool = False) -> Tuning:
    """What makes every setting as wanted, now and after a restart.

    `newer`: by W&B's newer documents where they ask for more; `in_file`: nothing by SET PERSIST. What stands in our
    option file stays there.
    Invariant: of a server on which all of it was done and which then was restarted, it gives no changes.
    """
    standings = {each.name: standing(each, found.current.get(each.name), found.version) for each in WANTED}
    good = {Standing.RIGHT} if newer else {Standing.RIGHT, Standing.ENOUGH}
    changes = [
        _change(each, found, newer=newer, in_file=in_file or not found.persists or each.name in found.lines)
        for each in WANTED
        if standings[each.name] is not Standing.ABSENT
        and (standings[each.name] not in good or not _lasts(each, found, good))
    ]
    there = {name: each for name, each in standings.items() if each is not Standing.ABSENT}
    return Tuning(tuple(changes), there)


def option_file(lines: Mapping[str, str], more: Mapping[str, str]) -> str:
    """Our own option file's text: what stands in it already, with `more` added or in its place."""
    return _HEAD + "".join(f"{line}\n" for _, line in sorted({**lines, **more}.items()))


def option_lines(text: str) -> dict[str, str]:
    """The settings of an option file by their names, as `option_file` takes them."""
    lines = (line.strip() for line in text.splitlines())
    return {_name(line): line for line in lines if line and not line.startswith(("#", ";", "["))}


def not_taken(lines: Collection[str], arguments: Iterable[str]) -> list[str]:
    """The lines that MySQL will not go by, as the arguments show that it would start with: a later one wins."""
    last = {_name(argument.removeprefix("--")): _value(argument) for argument in arguments if argument[:2] == "--"}
    return [line for line in lines if last.get(_name(line)) != _value(line)]


def _change(wanted: Wanted, found: Settings, *, newer: bool, in_file: bool) -> Change:
    now = found.current[wanted.name]
    value = _target(wanted, found, newer=newer)
    line = wanted.option_line(value) if in_file or wanted.needs_line(found.version) else ""
    statement = wanted.statement((5, 7, 0) if in_file else found.version, value)
    steps = [Step(f"set {wanted.name}", (statement.rstrip(";"),))] if statement else []
    if line and wanted.name in found.persisted:
        # It would win over the file.
        steps.append(Step(f"forget what was persisted for {wanted.name}", (f"RESET PERSIST {wanted.name}",)))
    return Change(wanted, now, value, tuple(steps), line, restart=not statement)


def _target(wanted: Wanted, found: Settings, *, newer: bool) -> str:
    """What is wanted, or the present value where that is good and only does not last."""
    now = found.current[wanted.name]
    verdict = standing(wanted, now, found.version)
    if verdict is Standing.RIGHT or (verdict is Standing.ENOUGH and not newer):
        return now
    return wanted.better if newer and wanted.better else wanted.value


def _lasts(wanted: Wanted, found: Settings, good: Collection[Standing]) -> bool:
    """Whether a good value of now is one after a restart too, as far as can be known."""
    if wanted.name in found.persisted and found.persists:
        return standing(wanted, found.persisted[wanted.name], found.version) in good
    if found.sources.get(wanted.name) != _ONLY_NOW:
        return True
    line = found.lines.get(wanted.name, "")
    return bool(line) and standing(wanted, _value(line), found.version) in good


def _name(line: str) -> str:
    return line.partition("=")[0].strip().replace("-", "_").removeprefix("loose_")


def _value(line: str) -> str:
    return line.partition("=")[2].strip()
