"""What there is of backups: whether the store answers, how old the newest is, and how far it can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, islice
from typing import Final

from wbagent.backup.catalog import newest_first
from wbagent.backup.manifest import Manifest
from wbagent.backup.retention import Backup, Standing
from wbagent.backup.standing import weighed
from wbagent.bucket.open import open_store
from wbagent.checks.check import Finding, fail, note, passed, warn
from wbagent.config import Settings
from wbagent.monitor.disk import Space, look_up
from wbagent.quantities import format_duration, format_size
from wbagent.restore.scratch import room_needed
from wbagent.state_directory import state_directory

# Of a store with thousands the newest tell: each takes two requests.
_LOOKED_AT: Final = 30
_RUN: Final = "wbagent backup run"


@dataclass(frozen=True, slots=True)
class Seen:
    """The place, and the newest that has a commit record, with what retention makes of it.

    `older`: those before it that have one, the newest first. `hosts`: which host made each of the last, oldest first.
    """

    address: str
    newest: Backup | None
    manifest: Manifest | None
    older: tuple[Backup, ...] = ()
    hosts: tuple[str, ...] = ()


def look(settings: Settings) -> Seen:
    """Ask the store. Raises BucketError."""
    store = open_store(settings.backup, state_directory(), impatient=True)
    store.check_ready()
    owner = settings.backup.owner
    found = [
        (backup, stored.manifest)
        for stored in islice(newest_first(store, owner), _LOOKED_AT)
        if (backup := weighed(store, owner, stored)) is not None and backup.standing is not Standing.INCOMPLETE
    ]
    if not found:
        return Seen(store.address, None, None)
    newest, manifest = found[0]
    hosts = [record.host for _, record in reversed(found) if record is not None]
    return Seen(store.address, newest, manifest, tuple(backup for backup, _ in found[1:]), tuple(hosts))


def reachable(seen: Seen) -> Finding:
    """It was: else `look` would have raised."""
    return passed(f"{seen.address} answers")


def judge_newest(newest: Backup | None, settings: Settings, now: datetime, *, provable: bool) -> Finding:
    """Its age against [backup] fresh_within, and its proof; `provable`: whether a drill can be made on this host."""
    backup = settings.backup
    limit = format_duration(backup.fresh_within)
    if newest is None:
        return fail("there is no backup yet", needed=f"one that is younger than {limit}, and proven", remedy=_RUN)
    age = format_duration(max((now - newest.at).total_seconds(), 0.0))
    what = f"{newest.id} is {age} old"
    if newest.standing in {Standing.DISPROVEN, Standing.DAMAGED}:
        remedy = f"{_RUN}; wbagent backup list"
        return fail(f"{what} and no good: {newest.standing}", needed="a proven one", remedy=remedy)
    if (now - newest.at).total_seconds() > backup.fresh_within:
        return fail(f"{what}, and nothing newer is there", needed=f"younger than {limit}", remedy=_RUN)
    if newest.standing is Standing.PROVEN:
        return passed(f"{what} and proven")
    if not (backup.drill.enabled and provable):
        return note(f"{what}; nothing proves it: no drill is made on this host")
    return warn(f"{what} and not proven yet", needed="a proof: it was restored once", remedy="wbagent backup drill")


def judge_older(older: Sequence[Backup]) -> Finding:
    """Those before the newest: whether a restore could rely on each of them."""
    bad = [each for each in older if each.standing in {Standing.DISPROVEN, Standing.DAMAGED}]
    if not bad:
        return passed(f"{len(older)} older ones, and none of them is known to be bad")
    named = ", ".join(f"{each.id} ({each.standing})" for each in bad[:5])
    return warn(
        f"{len(bad)} of {len(older)} older backups are no good: {named}{', …' if bad[5:] else ''}",
        needed="a good one of each day",
        remedy=f"wbagent backup show {bad[0].id} says why; those that restore: wbagent backup list",
    )


def judge_owner(hosts: Sequence[str], owner: str) -> Finding:
    """Whether one host alone backs up under this name; `hosts`: who made each backup, oldest first.

    A host that took another one's place comes after it: of two that work at a time one comes back after the other.
    """
    turns = [host for host, _ in groupby(hosts)]
    if len(turns) > len(set(turns)):
        return fail(
            f"{len(set(turns))} hosts back up as owner {owner!r} ({', '.join(sorted(set(turns)))}): they thin out each"
            " other's backups, and a restore of the newest takes the other one's",
            needed="an owner for each host",
            remedy='[backup] owner = "NAME" in /etc/wbagent.toml, another one on each; systemctl reload wbagent;'
            " wbagent backup run",
        )
    if len(turns) > 1:
        return note(f"{turns[-1]} makes backups as owner {owner!r} in the place of {turns[-2]}")
    return passed(f"one host alone makes backups as owner {owner!r}")


def room(seen: Seen) -> Finding:
    """Whether the newest backup could be restored below the state directory."""
    path = str(state_directory())
    return judge_room(path, look_up(path).space, room_needed(seen.manifest) if seen.manifest else None)


def judge_room(path: str, space: Space | None, needed: int | None) -> Finding:
    """`needed`: bytes for a drill of the newest backup, None where there is none."""
    if space is None:
        return note(f"the space of {path} cannot be seen", remedy="run this as root")
    if needed is None:
        return note(f"{format_size(space.available)} free at {path}; how much a drill needs the first backup tells")
    if space.available < needed:
        return warn(
            f"{format_size(space.available)} free at {path}: a drill of the newest backup would not be made",
            needed=format_size(needed),
            remedy=f"df -h {path}; a larger disk there, or drills on another host: wbagent backup drill",
        )
    return passed(f"{format_size(space.available)} free at {path}, a drill needs {format_size(needed)}")
