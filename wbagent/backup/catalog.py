"""What is stored: the committed backups of one owner, found by their commit records, and the remains of others."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Literal

from wbagent.backup.layout import MANIFEST, backup_id, is_backup_id, manifest_key, object_key, owner_prefix
from wbagent.backup.lease import SKEW
from wbagent.backup.manifest import Manifest, parse_manifest
from wbagent.bucket.store import NotStoredError, Store
from wbagent.errors import BackupError, DamagedError, RestoreError

# HOST is [backup] owner, by default the name of the host that made it.
_LIST: Final = "see what there is: wbagent backup list --all; what another host made: wbagent backup list --owner HOST"


@dataclass(frozen=True, slots=True)
class Stored:
    """What is stored under one id; `stored_bytes` as listed. Only a "complete" one is a backup.

    "incomplete": there is no commit record. "damaged": there is one, but it cannot be read or does not match.
    """

    id: str
    state: Literal["complete", "incomplete", "damaged"]
    stored_bytes: int
    manifest: Manifest | None = None
    reason: str = ""


def read_catalog(store: Store, owner: str) -> tuple[Stored, ...]:
    """Everything stored for `owner`, oldest first; raises BucketError."""
    return tuple(sorted(newest_first(store, owner), key=lambda each: each.id))


def newest_first(store: Store, owner: str, clock: Callable[[], float] = time.time) -> Iterator[Stored]:
    """Everything stored for `owner`, the newest first; reads no more commit records than are asked for.

    What claims to be of the future comes last: `by_age`. Raises BucketError.
    """
    prefix = owner_prefix(owner)
    found: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for entry in store.entries(prefix):
        name, _, file = entry.key.removeprefix(prefix).partition("/")
        if is_backup_id(name):
            found[name][file] = entry.size
    for name in by_age(found, clock()):
        yield _stored(store, owner, name, found[name])


def by_age(names: Iterable[str], now: float) -> list[str]:
    """Ids, the newest first.

    One that is later than `now` (wall-clock seconds) was begun when a clock was wrong: nobody knows how old it is, and
    taken for the newest it would be what is restored and drilled until that time has come.
    """
    latest = backup_id(now + SKEW.total_seconds())
    return sorted(names, key=lambda name: (name <= latest, name), reverse=True)


def newest_backup(store: Store, owner: str) -> Manifest | None:
    """The commit record of the newest backup that counts; raises BucketError."""
    return next((each.manifest for each in newest_first(store, owner) if each.state == "complete"), None)


def committed(catalog: tuple[Stored, ...]) -> tuple[Manifest, ...]:
    """The commit records of the backups that count, oldest first."""
    return tuple(each.manifest for each in catalog if each.state == "complete" and each.manifest)


def find_backup(store: Store, owner: str, name: str) -> Manifest:
    """The commit record of backup `name`, or of the newest for "latest".

    Raises RestoreError (DamagedError when it does not match what is stored), BucketError.
    """
    if name == "latest":
        newest = newest_backup(store, owner)
        if newest is None:
            raise RestoreError(
                f"{store.address} holds no complete backup of {owner!r}",
                hint=_LIST,
            )
        return newest
    if not is_backup_id(name):
        raise RestoreError(
            f"{name!r} is not the id of a backup", hint='ids are as in `wbagent backup list`, or the word "latest"'
        )
    try:
        record = parse_manifest(_read(store, manifest_key(owner, name)), manifest_key(owner, name))
    except NotStoredError:
        raise RestoreError(
            f"{store.address} holds no complete backup {name} of {owner!r}",
            hint=_LIST,
        ) from None
    sizes = {}
    for each in record.stored:
        with suppress(NotStoredError):
            sizes[each.file] = store.size(object_key(owner, name, each.file))
    if mismatch := _mismatch(record, owner, name, sizes):
        raise DamagedError(f"backup {name} is damaged: {mismatch}", hint="use another: wbagent backup list")
    return record


def _stored(store: Store, owner: str, name: str, files: dict[str, int]) -> Stored:
    size = sum(files.values())
    if MANIFEST not in files:
        return Stored(name, "incomplete", size, reason="it has no commit record")
    key = manifest_key(owner, name)
    try:
        record = parse_manifest(_read(store, key), key)
    except (BackupError, NotStoredError) as error:
        return Stored(name, "damaged", size, reason=error.message)
    if mismatch := _mismatch(record, owner, name, files):
        return Stored(name, "damaged", size, record, mismatch)
    return Stored(name, "complete", size, record)


def _read(store: Store, key: str) -> bytes:
    return b"".join(store.get(key))


def _mismatch(record: Manifest, owner: str, name: str, sizes: Mapping[str, int]) -> str:
    """What of the stored objects is not as the record says; "" when all is."""
    if (record.owner, record.id) != (owner, name):
        return f"its commit record speaks of {record.owner}/{record.id}"
    for stored in record.stored:
        if stored.file not in sizes:
            return f"{stored.file} is missing"
        if sizes[stored.file] != stored.size:
            return f"{stored.file} has {sizes[stored.file]} bytes instead of {stored.size}"
    return ""
