"""The configuration as far as it can be read: a mistake in one section keeps no area unchecked that needs another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wbagent.checks.areas import SECRETIVE, SECTIONS, checks_of
from wbagent.checks.check import Check, Finding, fail, note, unconfigured
from wbagent.config import Settings, load
from wbagent.config.loading import SealedError
from wbagent.errors import AccessError, ConfigError

# Shown before the areas, and only when there is something to say about the file itself.
AREA: Final = "configuration"
# Without their secrets they would say something else than what is configured.
_OF_ACCOUNTS: Final = frozenset({"database", "standby", "backup", "alerts"})


@dataclass(frozen=True, slots=True)
class Configured:
    """The sections that can be used, what is to be said of the rest, and which `unread` sections that concerns.

    `sealed`: this user may read the file and not the credentials, so that every secret in `settings` is missing.
    """

    settings: Settings
    findings: tuple[Finding, ...] = ()
    unread: frozenset[str] = frozenset()
    sealed: bool = False


def read(path: Path, *, may_be_absent: bool) -> Configured:
    """Read it section by section where it is refused as a whole. Never raises ConfigError or AccessError."""
    try:
        loaded = load(path, may_be_absent=may_be_absent)
    except SealedError:
        return Configured(_without_credentials(path, may_be_absent=may_be_absent), sealed=True)
    except AccessError as error:
        found = note(error.message, remedy="run the command as root (sudo wbagent check)")
        return Configured(_nothing(), (found,), frozenset(Settings.model_fields))
    except ConfigError as error:
        problems = [fail(problem, needed="", remedy="") for problem in error.problems or (error.message,)]
        problems[-1] = fail(problems[-1].found, needed="", remedy=error.hint)
        return _by_section(path, problems, may_be_absent=may_be_absent)
    if loaded.origins:
        return Configured(loaded.settings)
    found = note(
        f"{path} sets nothing yet: all is looked at as before an installation, with the figures of W&B's guide",
        remedy="wbagent init",
    )
    return Configured(loaded.settings, (found,))


def _by_section(path: Path, problems: Sequence[Finding], *, may_be_absent: bool) -> Configured:
    known: dict[str, object] = {}
    for section in Settings.model_fields:
        try:
            known[section] = getattr(load(path, only=section, may_be_absent=may_be_absent).settings, section)
        except (ConfigError, AccessError):
            continue
    unread = frozenset(Settings.model_fields) - known.keys()
    return Configured(_nothing().model_copy(update=known), tuple(problems), unread)


def _without_credentials(path: Path, *, may_be_absent: bool) -> Settings:
    """Of the file what is whole without them; that the rest is not is no mistake of the file."""
    known: dict[str, object] = {}
    for section in set(Settings.model_fields) - _OF_ACCOUNTS:
        with suppress(ConfigError):
            found = load(path, only=section, may_be_absent=may_be_absent, sealed=True).settings
            known[section] = getattr(found, section)
    return _nothing().model_copy(update=known)


def _nothing() -> Settings:
    """What an empty file means."""
    # Not Settings(): pydantic would read environment variables of the sections' names.
    return load(Path("/nonexistent"), may_be_absent=True, only="nothing", sealed=True).settings


def checks_by_area(areas: Sequence[str], configured: Configured) -> Mapping[str, Sequence[Check]]:
    """The checks of these areas, after what is to be said about the configuration itself."""
    found: dict[str, Sequence[Check]] = {}
    if configured.findings:
        found[AREA] = [Check("file", lambda _: configured.findings, why="")]
    left_out = [area for area in areas if configured.sealed and area in SECRETIVE]
    if left_out:
        found[AREA] = [Check("credentials", lambda _: _sealed(left_out), why="")]
    for area in areas:
        if area in left_out:
            continue
        missing = SECTIONS[area] & configured.unread
        found[area] = [_not_looked_at(missing)] if missing else checks_of(area, configured.settings)
    return found


def _sealed(areas: Iterable[str]) -> Finding:
    return note(f"not looked at: {', '.join(areas)}: the credentials are root's", remedy="sudo wbagent check")


def _not_looked_at(sections: Iterable[str]) -> Check:
    named = " and ".join(f"[{section}]" for section in sorted(sections))
    return unconfigured("configuration", f"not looked at: {named} of the configuration cannot be used", "")
