"""What a drill found out about a backup: proof.json beside the commit record, good or bad, the newest one only."""

from __future__ import annotations

import hashlib
from typing import Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from wbagent.backup.layout import proof_key
from wbagent.backup.manifest import Manifest
from wbagent.bucket.store import NotStoredError, Store
from wbagent.errors import DamagedError

FORMAT: Final = 1


class _Record(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class TableProof(_Record):
    """One restored table: its rows, what the commit record says of them (None: nothing), CHECKSUM TABLE's value."""

    name: str
    rows: int
    recorded: int | None
    checksum: int | None


class Proof(_Record):
    """The outcome of a drill. Only one that is `ok` makes a backup a proven one; else `reason` says what was wrong.

    `manifest_sha256` is of the commit record that was proven: another one in its place is not proven by this.
    `server` is the mysqld that the backup was restored into, `image` that of its container, "" when it had none.
    `notes`: what could not be compared, or is not exact.
    """

    format: Literal[1] = FORMAT
    id: str
    owner: str
    ok: bool
    reason: str = ""
    manifest_sha256: str
    host: str
    server: str
    image: str = ""
    started_at: AwareDatetime
    finished_at: AwareDatetime
    duration_s: float
    compared: tuple[str, ...] = ()
    tables: tuple[TableProof, ...] = ()
    gtid_executed: str | None = None
    notes: tuple[str, ...] = ()

    def to_bytes(self) -> bytes:
        """The JSON text that is stored."""
        return (self.model_dump_json(indent=1) + "\n").encode()


def manifest_digest(manifest: Manifest) -> str:
    """What binds a proof to the commit record."""
    return hashlib.sha256(manifest.to_bytes()).hexdigest()


def write_proof(store: Store, proof: Proof) -> None:
    """Store it and read it back; raises BucketError, DamagedError."""
    key, data = proof_key(proof.owner, proof.id), proof.to_bytes()
    store.put(key, data)
    if b"".join(store.get(key)) != data:
        raise DamagedError(f"{store.address} holds something else than was sent for {key}", hint="do not trust it")


def read_proof(store: Store, manifest: Manifest) -> Proof | None:
    """The newest drill's outcome for this very commit record, or None; raises BucketError."""
    try:
        data = b"".join(store.get(proof_key(manifest.owner, manifest.id)))
        proof = Proof.model_validate_json(data)
    except (NotStoredError, ValidationError):
        return None
    return proof if judges(proof, manifest) else None


def judges(proof: Proof, manifest: Manifest) -> bool:
    """Whether the proof is about this commit record, byte for byte."""
    same = (proof.owner, proof.id) == (manifest.owner, manifest.id)
    return same and proof.manifest_sha256 == manifest_digest(manifest)
