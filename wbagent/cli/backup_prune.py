"""What `wbagent backup prune` does: a line for each stored backup, with its verdict and the reason."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from wbagent.backup.pruning import plan, policy, prune
from wbagent.bucket.open import open_store
from wbagent.errors import AccessError, StateError
from wbagent.state import State
from wbagent.state_directory import state_directory

if TYPE_CHECKING:
    from wbagent.backup.retention import Verdict
    from wbagent.backup.thinning import Thinned
    from wbagent.config import Settings


def run(settings: Settings, *, dry_run: bool, as_json: bool) -> int:
    """Decide, remove unless `dry_run`, and show it; returns the exit status. Raises BackupError, BucketError."""
    backup, directory = settings.backup, state_directory()
    with ExitStack() as stack:
        thinned = None
        if dry_run:
            state = _readable_state(stack)
            now = datetime.fromtimestamp(time.time(), UTC)
            verdicts = plan(open_store(backup, directory), backup, state, now).verdicts
        else:
            state = stack.enter_context(State())
            thinned = prune(backup, state, directory, time.time)
            verdicts = thinned.verdicts
        counted = policy(backup, state).unproven_because
    if as_json:
        _print_json(backup.owner, verdicts, thinned, counted)
    else:
        _print(backup.owner, verdicts, thinned, counted)
    if thinned is not None and thinned.refusal:
        raise AccessError(
            f"{len(thinned.due)} backups may not be removed with this key: {thinned.refusal}",
            hint="nothing, where the key is meant to write only: the bucket's lifecycle rules have to remove them",
        )
    return 0


def _readable_state(stack: ExitStack) -> State | None:
    """None on a host where no agent has run yet."""
    try:
        return stack.enter_context(State(read_only=True))
    except StateError:
        return None


def _outcome(verdict: Verdict, thinned: Thinned | None) -> str:
    if verdict.keep:
        return "keep"
    if thinned is None:
        return "remove"
    return "removed" if verdict.id in thinned.removed else "stays"


def _print(owner: str, verdicts: Iterable[Verdict], thinned: Thinned | None, counted: str) -> None:
    verdicts = tuple(verdicts)
    click.echo(f"backups of {owner}" + ("" if thinned else " (nothing is touched: --dry-run)"))
    if counted:
        click.echo(f"unproven backups count too: {counted}")
    for each in verdicts:
        click.echo(f"{each.id}  {_outcome(each, thinned):<8} {each.reason}")
    if not verdicts:
        click.echo("none")
    for locked in thinned.locked if thinned else ():
        click.echo(locked)


def _print_json(owner: str, verdicts: Iterable[Verdict], thinned: Thinned | None, counted: str) -> None:
    rows = [
        {"id": each.id, "keep": each.keep, "rule": str(each.rule), "reason": each.reason,
         "outcome": _outcome(each, thinned)}
        for each in verdicts
    ]  # fmt: skip
    document = {
        "owner": owner,
        "dry_run": thinned is None,
        "unproven_count_because": counted or None,
        "locked": list(thinned.locked) if thinned else [],
        "refusal": (thinned.refusal or None) if thinned else None,
        "backups": rows,
    }
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))
