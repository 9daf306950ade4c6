"""Carries out what retention decided: removes backups whose time has passed, commit record first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from wbagent import events
from wbagent.backup.catalog import Stored, committed
from wbagent.backup.layout import manifest_key, object_key
from wbagent.backup.retention import Kept, Policy, expired
from wbagent.bucket.store import NotAllowedError, Store
from wbagent.systemd import journal


@dataclass(frozen=True, slots=True)
class Thinned:
    """What was removed, and what is due but could not be: then `refusal` says why."""

    removed: tuple[str, ...]
    due: tuple[str, ...] = ()
    refusal: str = ""


def thin_out(store: Store, owner: str, catalog: Sequence[Stored], policy: Policy, now: datetime) -> Thinned:
    """Remove the expired backups of `owner`; raises BucketError.

    The commit record goes first: a backup that is half gone is no backup. With keys that may write only, nothing is
    removed and nothing fails; the store's own rules have to do it then.
    """
    records = committed(tuple(catalog))
    kept = [Kept(record.id, record.finished_at) for record in records]
    objects = {record.id: [each.file for each in record.objects] for record in records}
    due = expired(kept, policy, now)
    removed: list[str] = []
    for name in due:
        try:
            store.delete(manifest_key(owner, name))
            for file in objects[name]:
                store.delete(object_key(owner, name, file))
        except NotAllowedError as error:
            left = due[len(removed) :]
            journal.send(
                f"{len(left)} backups are older than [backup] keep_days, but may not be removed with this key",
                level="warning",
                message_id=events.RETENTION_DONE,
                due=" ".join(left),
                reason=error.message,
            )
            return Thinned(tuple(removed), left, error.message)
        removed.append(name)
    if removed:
        journal.send(
            f"removed {len(removed)} old backups: {', '.join(removed)}",
            message_id=events.RETENTION_DONE,
            removed=" ".join(removed),
        )
    return Thinned(tuple(removed))
