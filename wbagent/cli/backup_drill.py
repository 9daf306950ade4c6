"""`wbagent backup drill`: prove a backup, in the unit or by it."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import click

from wbagent.age import Identity
from wbagent.backup.catalog import find_backup
from wbagent.bucket.open import open_store
from wbagent.cli.context import why_the_unit_failed
from wbagent.cli.following import follow_unit
from wbagent.cli.progress import progress_reporter
from wbagent.config import Settings
from wbagent.drill import record
from wbagent.drill.job import DrillFailedError, Order, run_drill
from wbagent.errors import EX_IOERR, EX_UNAVAILABLE, AccessError, DamagedError, StateError
from wbagent.monitor import backup_facts
from wbagent.quantities import format_duration
from wbagent.state import State
from wbagent.state_directory import state_directory
from wbagent.systemd.notify import extension, notify
from wbagent.systemd.unit_names import DRILL_UNIT

_MARGIN_S: Final = 120
_SWITCHED_OFF: Final = "drills are switched off: [backup.drill] enabled = false"


def make(settings: Settings, name: str, identity_file: Path | None) -> int:
    """ExecStart= of the unit; returns the exit status."""
    switched_on = settings.backup.enabled and settings.backup.drill.enabled
    # The unit's own time limit is for what hangs; a configured one may be longer.
    longest = settings.backup.drill.time_limit + _MARGIN_S
    notify(extension(longest))
    identity = Identity(identity_file.read_text()) if identity_file else None
    try:
        with State() as state, progress_reporter() as report:
            wanted = name or record.take_wanted(state, time.time())
            if not wanted and backup_facts.waits(state):
                # What ended well just now was no backup: nothing is to be told about one either.
                return 0
            if not switched_on and not wanted:
                notify(f"STATUS={_SWITCHED_OFF}")
                return 0
            proof = last = run_drill(settings, state, state_directory(), report, Order(wanted, identity))
            while switched_on and last is not None:
                # A backup may have ended meanwhile: its start of this unit became one with this run.
                notify(extension(longest))
                last = run_drill(settings, state, state_directory(), report, Order("", identity))
                proof = last or proof
    except DrillFailedError as error:
        return error.exit_status
    notify(f"STATUS=backup {proof.id} is proven" if proof else "STATUS=nothing was to be proven")
    return 0


def follow(ctx: click.Context, settings: Settings, name: str) -> int:
    """Start the unit, show its status lines, and say how it ended; returns the exit status."""
    began = time.time()
    if name:
        with suppress(DamagedError):
            # A slip of the pen is no failed drill: that of the unit would wake people with a critical alert.
            find_backup(open_store(settings.backup, state_directory()), settings.backup.owner, name)
        with State() as state:
            state.put(record.WANTED, name, began)
    result = follow_unit(DRILL_UNIT, "drill")
    last = _last(began)
    if result.ok:
        _print(last, switched_on=settings.backup.drill.enabled)
        return EX_UNAVAILABLE if last.get("result") == "no mysqld" else 0
    last = last or why_the_unit_failed(ctx, DRILL_UNIT)
    bad = f"backup {last.get('id')} is NOT a good one" if last.get("result") == "disproven" else "no backup was proven"
    click.echo(f"error: {bad} ({DRILL_UNIT}: {result.result}): {last.get('reason', 'see its log')}", err=True)
    click.echo(f"  try: {last.get('hint') or 'journalctl -u wbagent-drill'}", err=True)
    return result.exit_status or EX_IOERR


def _print(last: dict[str, Any], *, switched_on: bool) -> None:
    match last.get("result"):
        case "proven":
            took = format_duration(last["duration_s"])
            rows = f"{last['tables']} tables with {last['rows']} rows"
            image = f" of image {last['image']}" if last.get("image") else ""
            click.echo(f"backup {last['id']} is proven: restored into {last['server']}{image} in {took}, {rows} read")
        case "no mysqld":
            click.echo(f"not proven: {last['reason']}")
            click.echo(f"  try: {last['hint']}", err=True)
        case _ if not switched_on:
            click.echo(f"{_SWITCHED_OFF}; to prove one all the same: wbagent backup drill ID")
        case _:
            click.echo("nothing was to be proven; see: wbagent backup list")


def _last(began: float) -> dict[str, Any]:
    """What the run that ended since `began` left in the state file."""
    try:
        with State(read_only=True) as state:
            fact = state.get(backup_facts.DRILL)
    except (AccessError, StateError):
        return {}
    return dict(fact.value) if fact and fact.at >= began else {}
