"""How far each stored backup can be trusted: its commit record and its proof, as retention weighs them."""

from __future__ import annotations

from wbagent.backup.catalog import Stored, newest_first
from wbagent.backup.layout import begun_at
from wbagent.backup.manifest import Manifest
from wbagent.backup.proof import Proof, read_proof
from wbagent.backup.retention import Backup, Standing
from wbagent.bucket.store import Store


def weighed(store: Store, owner: str, stored: Stored) -> Backup | None:
    """What retention decides about; None for an id that is no time, which nobody here has made. Raises BucketError."""
    begun = begun_at(stored.id)
    if begun is None:
        return None
    record = stored.manifest
    if record is None or (record.owner, record.id) != (owner, stored.id):
        return Backup(stored.id, Standing(stored.state), begun)
    if stored.state != "complete":
        return Backup(stored.id, Standing(stored.state), record.finished_at)
    proof = read_proof(store, record)
    standing = Standing.COMMITTED if proof is None else Standing.PROVEN if proof.ok else Standing.DISPROVEN
    return Backup(stored.id, standing, record.finished_at)


def newest_proven(store: Store, owner: str) -> tuple[Manifest, Proof] | None:
    """The newest whole backup that its last drill has proven, or None; raises BucketError."""
    for each in newest_first(store, owner):
        proof = read_proof(store, each.manifest) if each.manifest and each.state == "complete" else None
        if each.manifest and proof and proof.ok:
            return each.manifest, proof
    return None
