"""What a check is, what it may look at, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from wbagent.checks.scratch import Scratch
from wbagent.config import Settings

TIME_LIMIT_S: Final = 20.0


class Verdict(StrEnum):
    """How bad it is, from good to bad."""

    PASS = "pass"  # noqa: S105 - no password: the best of four verdicts
    NOTE = "note"
    WARN = "warn"
    FAIL = "fail"

    @property
    def rank(self) -> int:
        """0 for pass … 3 for fail."""
        return list(Verdict).index(self)


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found, and, where that is not good, what is needed and the command or line that mends it.

    No field may hold a secret. `about` names the thing when one check looks at several ("sort_buffer_size").
    """

    verdict: Verdict
    found: str
    needed: str = ""
    remedy: str = ""
    about: str = ""


def passed(found: str, *, about: str = "") -> Finding:
    """All is well."""
    return Finding(Verdict.PASS, found, about=about)


def note(found: str, *, needed: str = "", remedy: str = "", about: str = "") -> Finding:
    """Nothing is wrong, and a person should know."""
    return Finding(Verdict.NOTE, found, needed, remedy, about)


def warn(found: str, *, needed: str, remedy: str, about: str = "") -> Finding:
    """It works, and will hurt."""
    return Finding(Verdict.WARN, found, needed, remedy, about)


def fail(found: str, *, needed: str, remedy: str, about: str = "") -> Finding:
    """It does not work, or loses data."""
    return Finding(Verdict.FAIL, found, needed, remedy, about)


@dataclass(frozen=True, slots=True)
class Subject:
    """What is checked: the settings (all sections empty where nothing is configured yet).

    What a check makes, it makes inside `scratch.removed(…)`, so that it is gone afterwards whatever happens. `areas`:
    what is looked at in the same run.
    """

    settings: Settings
    scratch: Scratch
    areas: frozenset[str] = frozenset()

    def left_to(self, area: str, failure: Finding) -> Finding:
        """A failure whose cause another area tells: a note that names it where that is looked at too, else as it is."""
        if area not in self.areas:
            return failure
        return note(f"{failure.found} (why: area {area})", remedy=f"wbagent check {area}", about=failure.about)


# How a check looks: what it returns is one finding, or as many as there is to say.
Run: TypeAlias = Callable[[Subject], Finding | Iterable[Finding]]


def listed(found: Finding | Iterable[Finding]) -> list[Finding]:
    """What a check or a judge returned, as a list."""
    return [found] if isinstance(found, Finding) else list(found)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that is looked at.

    `name` is unique in its area and is what the table shows ("memory", "signed GET"). `why` is one line: what goes
    wrong without it. `section` says where W&B asks for it ("Performance" of the guide, "W&B docs: MySQL"), "" where
    this product does. `run` changes nothing that it does not put back, and raises WbagentError when it could not look:
    that is a failure, and a note where it is an AccessError, for then another user could.
    """

    name: str
    run: Run
    why: str
    section: str = ""
    time_limit_s: float = TIME_LIMIT_S


@dataclass(frozen=True, slots=True)
class Result:
    """A finding with the check that it comes from."""

    area: str
    check: str
    why: str
    section: str
    finding: Finding
    took_s: float


def unconfigured(name: str, found: str, remedy: str) -> Check:
    """The only check of an area that this host has nothing of: a note that says so."""
    return Check(name, lambda _: note(found, remedy=remedy), why="")
