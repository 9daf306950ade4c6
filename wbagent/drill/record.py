"""What a drill leaves in the state file, so that `wbagent status`, alerts and the agent can tell without the bucket."""

from __future__ import annotations

from typing import Any, Final, Literal

from wbagent.backup.manifest import Manifest
from wbagent.backup.proof import Proof
from wbagent.errors import StateError, WbagentError
from wbagent.state import State
from wbagent.systemd import journal

# The last drill, however it ended.
LAST: Final = "drill.last"
# The newest backup that a drill has proven; its `finished_at` is the age that counts.
PROVEN: Final = "drill.proven"
# What a person asked to have drilled: taken by the next run of the unit.
WANTED: Final = "drill.wanted"

Result = Literal["proven", "disproven", "not done", "no mysqld"]


def put_proof(state: State, manifest: Manifest, proof: Proof, now: float) -> None:
    """Facts "drill.last" and, of a good proof, "drill.proven" (times in seconds since the epoch)."""
    value = {
        "id": manifest.id,
        "owner": manifest.owner,
        "result": "proven" if proof.ok else "disproven",
        "reason": proof.reason,
        "hint": "" if proof.ok else "make another backup now: wbagent backup run; older ones: wbagent backup list",
        "finished_at": manifest.finished_at.timestamp(),
        "duration_s": proof.duration_s,
        "tables": len(proof.tables),
        "rows": sum(table.rows for table in proof.tables),
        "server": proof.server,
    }
    _put(state, LAST, value, now)
    if proof.ok and not _newer_is_proven(state, manifest):
        _put(state, PROVEN, value, now)


def put_not_done(state: State, result: Result, error: WbagentError, now: float) -> None:
    """Fact "drill.last" of a drill that says nothing about a backup, because it could not be made."""
    _put(state, LAST, {"id": "", "result": result, "reason": error.message, "hint": error.hint}, now)


def last_result(state: State) -> str:
    """The `result` of the last drill, or ""."""
    fact = state.get(LAST)
    return str(fact.value["result"]) if fact else ""


def take_wanted(state: State, now: float) -> str:
    """The id that a person asked for, or "": asked for once, it is drilled once."""
    fact = state.get(WANTED)
    wanted = str(fact.value) if fact else ""
    if wanted:
        state.put(WANTED, "", now)
    return wanted


def _newer_is_proven(state: State, manifest: Manifest) -> bool:
    """Whether an older backup was drilled by hand: the newest proven one is still another."""
    fact = state.get(PROVEN)
    if fact is None or fact.value["owner"] != manifest.owner:
        return False
    return float(fact.value["finished_at"]) > manifest.finished_at.timestamp()


def _put(state: State, key: str, value: dict[str, Any], now: float) -> None:
    try:
        state.put(key, value, now)
    except StateError as error:
        journal.send(f"the result of the drill cannot be noted: {error.message}; {error.hint}", level="warning")
