"""What a backup leaves in the state file, so that `wbagent status` and the agent can tell without the bucket."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from wbagent.backup.catalog import Stored
from wbagent.backup.manifest import Manifest
from wbagent.bucket.store import Store
from wbagent.errors import StateError, WbagentError
from wbagent.state import State
from wbagent.systemd import journal

LAST: Final = "backup.last"
LAST_FAILURE: Final = "backup.last_failure"
LIST: Final = "backup.list"


def put_success(state: State, manifest: Manifest, store: Store, now: float) -> None:
    """Fact "backup.last": the newest backup that was proven."""
    _put(
        state,
        LAST,
        {
            "id": manifest.id,
            "owner": manifest.owner,
            "started_at": manifest.started_at.timestamp(),
            "finished_at": manifest.finished_at.timestamp(),
            "duration_s": manifest.duration_s,
            "stored_bytes": manifest.size,
            "plain_bytes": manifest.plain_size,
            "tables": len(manifest.tables),
            "position": manifest.position is not None,
            "destination": store.address,
            "off_site": store.off_site,
            "warnings": list(manifest.warnings),
        },
        now,
    )


def put_failure(state: State, error: WbagentError, now: float) -> None:
    """Fact "backup.last_failure"; whether it is the last word is told by its time beside that of "backup.last"."""
    _put(state, LAST_FAILURE, {"at": now, "reason": error.message, "hint": error.hint}, now)


def put_list(state: State, catalog: Iterable[Stored], now: float) -> None:
    """Fact "backup.list": one short row for each thing stored, oldest first."""
    _put(state, LIST, [short_row(each) for each in catalog], now)


def _put(state: State, key: str, value: Any, now: float) -> None:
    """Note a fact; that it cannot be noted (a full disk) neither undoes a backup nor hides why there is none."""
    try:
        state.put(key, value, now)
    except StateError as error:
        journal.send(f"the result of the backup cannot be noted: {error.message}; {error.hint}", level="warning")


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
