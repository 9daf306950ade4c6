"""Which moments can be restored from what an owner has stored: its backups and binary logs, looked at together."""

from __future__ import annotations

from dataclasses import dataclass

from wbagent.backup.binlogs import exact_position
from wbagent.backup.catalog import committed, read_catalog
from wbagent.binlog.catalog import StoredFile
from wbagent.binlog.catalog import read_catalog as read_binlogs
from wbagent.bucket.store import Store
from wbagent.restore.history import Candidate, Window, windows


@dataclass(frozen=True, slots=True)
class Moments:
    """The stored files, the spans within which any moment can be had, and backups that none can begin from."""

    files: tuple[StoredFile, ...]
    windows: tuple[Window, ...]
    without_position: tuple[str, ...]


def read_moments(store: Store, owner: str, known_until: float) -> Moments:
    """Look at everything; raises BucketError, DamagedError.

    `known_until`: up to when (wall-clock seconds) all is known to be stored, 0 where nobody knows.
    """
    files = read_binlogs(store, owner)
    # Without binary logs nothing is asked of the backups, each of which may take a request.
    backups = [
        Candidate(each.id, exact_position(store, each), round(each.finished_at.timestamp() * 1e6))
        for each in (committed(read_catalog(store, owner)) if files else ())
    ]
    return Moments(
        files,
        windows(backups, files, round(known_until * 1e6)),
        tuple(backup.id for backup in backups if backup.position is None),
    )
