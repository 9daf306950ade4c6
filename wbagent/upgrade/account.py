"""Where an upgrade's state is kept: one JSON file, whole at every moment, written before each step."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

from wbagent.durable import whole_file
from wbagent.errors import StateError
from wbagent.moment import Moment
from wbagent.quantities import format_duration
from wbagent.server.torn import account_path, stored
from wbagent.systemd.unit_names import UPGRADE_UNIT
from wbagent.upgrade.plan import Outcome, Step, Upgrade

_NEWS_S: Final = 7 * 86400.0


def to_json(upgrade: Upgrade) -> str:
    """As it is stored, and shown to programs."""
    value = {field.name: getattr(upgrade, field.name) for field in fields(upgrade)}
    value["backup_made"] = upgrade.backup_made.to_json() if upgrade.backup_made else None
    return json.dumps(value, ensure_ascii=False, indent=1)


def write(upgrade: Upgrade, path: Path | None = None) -> None:
    """Store it, whole or not at all, and on the disk before this returns. Raises OSError."""
    with whole_file(path or account_path(), 0o640) as file:
        file.write(to_json(upgrade).encode())


def read(path: Path | None = None, *, owner: int = 0) -> Upgrade | None:
    """The last upgrade, finished or not; None when there is none, or none that can be understood or believed.

    Raises PermissionError.
    """
    value = stored(path, owner=owner)
    try:
        return _parsed(value) if value is not None else None
    except (ValueError, KeyError, TypeError):
        return None


def _parsed(value: dict[str, Any]) -> Upgrade:
    upgrade = Upgrade(**value)
    return replace(
        upgrade,
        step=Step(value["step"]),
        outcome=Outcome(value["outcome"]) if value["outcome"] else None,
        backup_made=Moment.from_json(value["backup_made"]) if value["backup_made"] else None,
        account=tuple((float(at), str(text)) for at, text in value["account"]),
    )


def current() -> Upgrade | None:
    """The last upgrade, or None also where this user may not know."""
    try:
        return read()
    except OSError:
        return None


@contextmanager
def alone() -> Iterator[None]:
    """Be the only one who begins or carries out an upgrade; StateError when another does."""
    path = account_path().with_name("upgrade.lock")
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StateError(f"{path} cannot be opened: {error.strerror}", hint="systemctl status wbagent") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StateError("another upgrade is under way", hint=f"systemctl status {UPGRADE_UNIT}") from None
        yield
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Note:
    """What a status page tells of the last upgrade; `needs_person` when it does not go on by itself."""

    text: str = ""
    needs_person: bool = False


NO_NOTE: Final = Note()


def note(now: float, *, at_work: bool) -> Note:
    """What the last upgrade does at time `now` (wall clock; `at_work`: its unit runs), needs, or why it failed."""
    upgrade = current()
    if upgrade is None:
        return NO_NOTE
    if upgrade.outcome is not None and upgrade.outcome is not Outcome.STUCK:
        return _failed(upgrade, now)
    if at_work:
        return Note(f"upgrade to {upgrade.new}: {upgrade.step}")
    if upgrade.outcome is Outcome.STUCK:
        return Note(f"the way back from {upgrade.new} is STUCK (wbagent server upgrade --status)", needs_person=True)
    return Note(
        f'the upgrade to {upgrade.new} was INTERRUPTED at "{upgrade.step}": wbagent server upgrade {upgrade.new}'
        " completes it, wbagent server upgrade --undo goes back",
        needs_person=True,
    )


def _failed(upgrade: Upgrade, now: float) -> Note:
    """That it failed, for a while: the old server serves, and who asked for the new one may not have looked."""
    ended = upgrade.account[-1][0] if upgrade.account else 0.0
    if not upgrade.failure or upgrade.undo_asked or now - ended > _NEWS_S:
        return NO_NOTE
    ago = format_duration(max(now - ended, 0.0))
    return Note(f"the upgrade to {upgrade.new} FAILED {ago} ago: {upgrade.failure} (wbagent server upgrade --status)")
