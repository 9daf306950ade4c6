"""What a drill leaves in the state file, so that `wbagent status`, alerts and the agent can tell without the bucket."""

from __future__ import annotations

from typing import Any, Final, Literal

from wbagent.backup.lease import SKEW
from wbagent.backup.manifest import Manifest
from wbagent.backup.proof import Proof
from wbagent.errors import WbagentError
from wbagent.monitor.backup_facts import DRILL, PROVEN, note
from wbagent.state import State

# What a person asked to have drilled: taken by the next run of the unit.
WANTED: Final = "drill.wanted"

Result = Literal["proven", "disproven", "not done", "no mysqld"]


def put_proof(state: State, manifest: Manifest, proof: Proof, now: float) -> None:
    """Facts "drill.last" and, of a good proof, "drill.proven" (times in seconds since the epoch)."""
    value = _value(manifest, proof)
    note(state, DRILL, value, now)
    if proof.ok and not _newer_is_proven(state, manifest, now):
        note(state, PROVEN, value, now)


def counts_as_proven(state: State, manifest: Manifest) -> bool:
    """Whether the state file says of this backup that it is the newest that a drill has proven."""
    fact = state.get(PROVEN)
    return fact is not None and (fact.value.get("owner"), fact.value.get("id")) == (manifest.owner, manifest.id)


def put_newest_proven(state: State, found: tuple[Manifest, Proof] | None) -> None:
    """Fact "drill.proven" anew, after a drill has disproven the backup that it named; None: there is no other."""
    if found is None:
        note(state, PROVEN, {}, 0.0)
    else:
        note(state, PROVEN, _value(*found), found[1].finished_at.timestamp())


def _value(manifest: Manifest, proof: Proof) -> dict[str, Any]:
    return {
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
        "image": proof.image,
    }


def put_not_done(state: State, result: Result, error: WbagentError, now: float) -> None:
    """Fact "drill.last" of a drill that says nothing about a backup, because it could not be made."""
    note(state, DRILL, {"id": "", "result": result, "reason": error.message, "hint": error.hint}, now)


def last_result(state: State) -> str:
    """The `result` of the last drill, or ""."""
    fact = state.get(DRILL)
    return str(fact.value["result"]) if fact else ""


def take_wanted(state: State, now: float) -> str:
    """The id that a person asked for, or "": asked for once, it is drilled once."""
    fact = state.get(WANTED)
    wanted = str(fact.value) if fact else ""
    if wanted:
        state.put(WANTED, "", now)
    return wanted


def _newer_is_proven(state: State, manifest: Manifest, now: float) -> bool:
    """Whether an older backup was drilled by hand: the newest proven one is still another."""
    fact = state.get(PROVEN)
    if fact is None or fact.value.get("owner") != manifest.owner:
        return False
    # One of the future was made when the clock was wrong, and is not the newest for that.
    return manifest.finished_at.timestamp() < float(fact.value["finished_at"]) <= now + SKEW.total_seconds()
