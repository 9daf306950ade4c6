"""Carries out what retention decided: removes backups whose time has passed, commit record first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from wbagent import events
from wbagent.backup.layout import manifest_key, owner_prefix
from wbagent.backup.lease import leased
from wbagent.backup.retention import Rule, Verdict
from wbagent.bucket.store import LockedError, NotAllowedError, NotStoredError, Store
from wbagent.systemd import journal


@dataclass(frozen=True, slots=True)
class Thinned:
    """What was removed, and what is due but could not be.

    `refusal` says why `due` could not be; `locked` is due too, each with its reason ("ID: … is locked until …").
    `verdicts`: all that was decided.
    """

    removed: tuple[str, ...]
    due: tuple[str, ...] = ()
    refusal: str = ""
    locked: tuple[str, ...] = ()
    verdicts: tuple[Verdict, ...] = ()


def thin_out(store: Store, owner: str, verdicts: Iterable[Verdict], now: datetime) -> Thinned:
    """Remove what has to go of the backups of `owner`, oldest first; raises BucketError.

    The commit record goes first: a backup that is half gone is no backup, and what is left of it is found by listing
    and goes the next time. With keys that may write only nothing is removed and nothing fails: the store's own rules
    have to do it then. What is locked stays until its time and does not fail either.
    """
    verdicts = tuple(verdicts)
    due = [each for each in verdicts if not each.keep]
    removed: list[str] = []
    locked: list[str] = []
    for number, verdict in enumerate(due):
        try:
            if _removed(store, owner, verdict, now):
                removed.append(verdict.id)
        except LockedError as error:
            locked.append(f"{verdict.id}: {error.message}")
        except NotAllowedError as error:
            left = tuple(each.id for each in due[number:])
            thinned = Thinned(tuple(removed), left, error.message, tuple(locked), verdicts)
            break
    else:
        thinned = Thinned(tuple(removed), (), "", tuple(locked), verdicts)
    _tell(thinned)
    return thinned


def _removed(store: Store, owner: str, verdict: Verdict, now: datetime) -> bool:
    """Remove one; False when it stays: somebody has begun to read it, or a stale listing made it look dead."""
    record = manifest_key(owner, verdict.id)
    if verdict.id in leased(store, owner, now) or (verdict.rule is Rule.REMAINS and _is_there(store, record)):
        return False
    # Whatever lies there, by listing and not by what the record names: an interrupted removal leaves no record.
    keys = [entry.key for entry in store.entries(f"{owner_prefix(owner)}{verdict.id}/") if entry.key != record]
    for key in (record, *keys):
        store.delete(key)
    return True


def _is_there(store: Store, key: str) -> bool:
    try:
        store.size(key)
    except NotStoredError:
        return False
    return True


def _tell(thinned: Thinned) -> None:
    if thinned.removed:
        _send(f"removed {len(thinned.removed)} old backups: {', '.join(thinned.removed)}", thinned.removed)
    if thinned.locked:
        _send(f"{len(thinned.locked)} old backups stay for now: {'; '.join(thinned.locked)}", thinned.locked)
    if thinned.due:
        text = f"{len(thinned.due)} backups have had their time, but may not be removed with this key"
        _send(text, thinned.due, level="warning", reason=thinned.refusal)
    stays = [each.id for each in thinned.verdicts if each.keep and each.rule is Rule.NOTHING_BETTER]
    if stays:
        text = f"{len(stays)} backups are past their time and stay, since too few newer ones can be trusted"
        _send(text, stays, level="warning")


def _send(text: str, ids: Iterable[str], level: str = "info", reason: str | None = None) -> None:
    journal.send(text, level=level, message_id=events.RETENTION_DONE, ids=" ".join(ids), reason=reason)
