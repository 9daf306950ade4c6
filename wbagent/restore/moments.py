"""Which moments can be restored from what an owner has stored: its backups and binary logs, looked at together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from wbagent.backup.binlogs import exact_position
from wbagent.backup.catalog import committed, read_catalog
from wbagent.backup.manifest import Manifest
from wbagent.backup.proof import read_proof
from wbagent.binlog.catalog import StoredFile, read_whole
from wbagent.binlog.gtid import GtidSet
from wbagent.bucket.store import Store
from wbagent.restore.history import Candidate, Known, Window, windows
from wbagent.restore.until import microseconds_of


@dataclass(frozen=True, slots=True)
class Moments:
    """The stored files, the spans within which any moment can be had, and backups that none can begin from.

    `lost`: what this host had stored and what is not there any more; `unreadable` and
    `newest_unreadable` are of the catalog.
    """

    files: tuple[StoredFile, ...]
    windows: tuple[Window, ...]
    without_position: tuple[str, ...]
    lost: GtidSet
    unreadable: tuple[str, ...]
    newest_unreadable: bool


def read_moments(store: Store, owner: str, known: Known) -> Moments:
    """Look at everything; raises BucketError."""
    stored = read_whole(store, owner)
    files = stored.files
    # Without binary logs nothing is asked of the backups, each of which takes a request.
    backups = candidates(store, committed(read_catalog(store, owner)) if files else ())
    return Moments(
        files,
        windows(backups, files, known.until_by(files)),
        tuple(backup.id for backup in backups if backup.position is None and not backup.bad),
        known.lost(files),
        stored.unreadable,
        stored.newest_unreadable,
    )


def candidates(store: Store, backups: Iterable[Manifest]) -> tuple[Candidate, ...]:
    """What a restore to a moment could begin with, in the order that is given; raises BucketError."""
    found = []
    for each in backups:
        proof = read_proof(store, each)
        bad = proof is not None and not proof.ok
        at, begun_at = microseconds_of(each.finished_at.timestamp()), each.started_at.timestamp()
        found.append(Candidate(each.id, exact_position(each, proof), at, bad, begun_at))
    return tuple(found)
