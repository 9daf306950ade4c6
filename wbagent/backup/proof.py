"""The proof beside a backup's commit record: what the drill that restored and compared it found."""

from __future__ import annotations

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from wbagent.backup.catalog import Stored
from wbagent.backup.layout import begun_at, proof_key
from wbagent.backup.retention import Backup, Standing
from wbagent.bucket.store import NotStoredError, Store


class Proof(BaseModel):
    """What retention needs of the drill's record; the drill writes more."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    ok: bool
    finished_at: AwareDatetime


def read_proof(store: Store, owner: str, name: str) -> Proof | None:
    """The proof of backup `name`; None when there is none, or none that can be understood. Raises BucketError."""
    try:
        return Proof.model_validate_json(b"".join(store.get(proof_key(owner, name))))
    except (NotStoredError, ValidationError):
        return None


def with_standing(store: Store, owner: str, stored: Stored) -> Backup | None:
    """What retention decides about; None for an id that is no time, which nobody here has made. Raises BucketError."""
    begun = begun_at(stored.id)
    if begun is None:
        return None
    record = stored.manifest
    own = record is not None and (record.owner, record.id) == (owner, stored.id)
    return Backup(stored.id, _standing(store, owner, stored), record.finished_at if record and own else begun)


def _standing(store: Store, owner: str, stored: Stored) -> Standing:
    if stored.state != "complete":
        return Standing(stored.state)
    proof = read_proof(store, owner, stored.id)
    if proof is None:
        return Standing.COMMITTED
    return Standing.PROVEN if proof.ok else Standing.DISPROVEN
