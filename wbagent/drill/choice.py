"""Which backup a drill is to prove."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from wbagent.backup.catalog import Stored
from wbagent.backup.manifest import Manifest


def choose(catalog: Iterable[Stored], is_proven: Callable[[Manifest], bool]) -> Stored | None:
    """The newest thing that has a commit record, unless it is proven already; `catalog` is newest first.

    Invariant: a backup that is damaged in the bucket is chosen like a good one, since nobody else would tell; an older
    one is never chosen in its place, so that a drill of a good one does not hide that the newest is bad.
    """
    newest = next((each for each in catalog if each.state != "incomplete"), None)
    if newest is None or (newest.state == "complete" and newest.manifest and is_proven(newest.manifest)):
        return None
    return newest
