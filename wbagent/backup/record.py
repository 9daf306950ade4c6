"""What a backup leaves in the state file, so that `wbagent status` and the agent can tell without the bucket."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from wbagent.backup.catalog import Stored
from wbagent.backup.manifest import Manifest
from wbagent.backup.proof import Proof
from wbagent.bucket.store import Store
from wbagent.errors import WbagentError
from wbagent.monitor.backup_facts import LAST, LAST_FAILURE, NOT_YET, note
from wbagent.state import State

LIST: Final = "backup.list"


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the commit record does not tell of a backup.

    `previous_size`: bytes of the last one before compression, or 0. `beside_database`: both are on one machine.
    """

    previous_size: int
    beside_database: bool


def put_success(state: State, manifest: Manifest, store: Store, known: Circumstances, now: float) -> None:
    """Fact "backup.last": the newest backup that was committed."""
    note(
        state,
        LAST,
        {
            "id": manifest.id,
            "owner": manifest.owner,
            "engine": manifest.engine,
            "started_at": manifest.started_at.timestamp(),
            "finished_at": manifest.finished_at.timestamp(),
            "duration_s": manifest.duration_s,
            "stored_bytes": manifest.size,
            "plain_bytes": manifest.plain_size,
            "previous_plain_bytes": known.previous_size,
            "tables": len(manifest.tables),
            "position": manifest.position is not None,
            "destination": store.address,
            "off_site": store.off_site,
            "beside_database": known.beside_database,
            "warnings": list(manifest.warnings),
        },
        now,
    )


def put_failure(state: State, error: WbagentError, now: float) -> None:
    """Fact "backup.last_failure"; whether it is the last word is told by its time beside that of "backup.last"."""
    note(state, LAST_FAILURE, {"at": now, "reason": error.message, "hint": error.hint}, now)


def put_not_yet(state: State, error: WbagentError, now: float) -> None:
    """Fact "backup.not_yet": the database was empty, and no backup of it was there."""
    note(state, NOT_YET, {"reason": error.message, "hint": error.hint}, now)


def put_list(state: State, catalog: Iterable[Stored], now: float) -> None:
    """Fact "backup.list": one short row for each thing stored, oldest first."""
    note(state, LIST, [short_row(each) for each in catalog], now)


def short_row(stored: Stored) -> dict[str, Any]:
    """One row of a listing, as JSON; times in seconds since the epoch."""
    record = stored.manifest
    return {
        "id": stored.id,
        "state": stored.state,
        "stored_bytes": stored.stored_bytes,
        "reason": stored.reason,
        "finished_at": record.finished_at.timestamp() if record else None,
        "duration_s": record.duration_s if record else None,
        "plain_bytes": record.plain_size if record else None,
        "tables": len(record.tables) if record else None,
        "host": record.host if record else None,
        "warnings": list(record.warnings) if record else [],
    }


def proof_row(proof: Proof | None) -> dict[str, Any]:
    """What a listing says beside `short_row` of whether the backup is proven: true, false (bad) or null (no drill)."""
    return {
        "proven": proof.ok if proof else None,
        "proven_at": proof.finished_at.timestamp() if proof else None,
        "proof_reason": proof.reason if proof else "",
    }
