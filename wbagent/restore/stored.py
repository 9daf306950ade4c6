"""A backup as a restore reads it: its commit record, where its objects are, and what decrypts them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from wbagent.age import Identity
from wbagent.backup.manifest import Manifest, StoredObject
from wbagent.backup.progress import Meter, Reporter
from wbagent.backup.proof import Proof, read_proof
from wbagent.backup.reading import check_stored, plain
from wbagent.bucket.store import Store
from wbagent.errors import BucketError
from wbagent.systemd import journal


@dataclass(frozen=True, slots=True)
class StoredBackup:
    """One backup in one store; `identity` opens one that is encrypted."""

    store: Store
    manifest: Manifest
    identity: Identity | None = None

    def proof(self) -> Proof | None:
        """What the newest drill found, if the store tells: a restore goes on without."""
        try:
            return read_proof(self.store, self.manifest)
        except BucketError as error:
            journal.send(f"the proof of backup {self.manifest.id} cannot be read: {error.message}", level="warning")
            return None

    def check(self, report: Reporter) -> None:
        """Read the database's object and hold it against the record; raises DamagedError, BucketError."""
        data = self.manifest.data
        check_stored(self.store, self.manifest, data, Meter("checking", report, expected=data.size), self.identity)

    def check_rest(self, report: Reporter) -> None:
        """Hold every other object against the record, down to what it was before it was stored; raises as `check`."""
        for stored in self.manifest.objects[1:]:
            for _ in self.chunks(stored, Meter("checking", report, expected=stored.plain_size), "it is damaged"):
                pass

    def data(self, stage: str, report: Reporter, consequence: str) -> Iterator[bytes]:
        """The database as its engine gave it; raises DamagedError, at the latest at the end, and BucketError."""
        stored = self.manifest.data
        return self.chunks(stored, Meter(stage, report, expected=stored.plain_size), consequence)

    def chunks(self, stored: StoredObject, meter: Meter, consequence: str) -> Iterator[bytes]:
        """One object in the same way; an error's message ends in `consequence`."""
        return plain(self.store, self.manifest, stored, meter, consequence, self.identity)
