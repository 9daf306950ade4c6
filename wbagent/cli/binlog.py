"""`wbagent binlog`: the shipping of binary logs, and what can be restored with them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from wbagent.cli.context import load_settings, only_systemd
from wbagent.cli.moments import known, moment_lines, moment_rows, own_report
from wbagent.quantities import format_duration, format_size
from wbagent.state import State
from wbagent.state_directory import state_directory
from wbagent.systemd.unit_names import BINLOG_UNIT

if TYPE_CHECKING:
    from wbagent.binlog.lag import Report
    from wbagent.config import Settings


@click.group()
def binlog() -> None:
    """Binary logs: restores to any moment."""


@binlog.command()
@click.pass_context
def run(ctx: click.Context) -> None:
    """Store binary logs until stopped: what wbagent-binlog.service runs."""
    only_systemd(BINLOG_UNIT)
    from wbagent.backup.binlogs import run_shipping  # noqa: PLC0415 - boto3, PyMySQL and zstd

    settings = load_settings(ctx)
    with State() as state:
        run_shipping(settings, state, state_directory())


@binlog.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option("--owner", help="Those of another host: its [backup] owner.")
@click.pass_context
def status(ctx: click.Context, as_json: bool, owner: str | None) -> None:
    """Show whether binary logs are stored now, which are, and which moments can be restored with them."""
    from wbagent.bucket.open import open_store  # noqa: PLC0415 - as above
    from wbagent.restore.moments import read_moments  # noqa: PLC0415

    settings = load_settings(ctx)
    own = settings.backup.owner
    owner = owner or own
    report = own_report(owner)
    store = open_store(settings.backup, state_directory())
    found = read_moments(store, owner, known(owner))
    size = sum(sum(file.sizes.values()) for file in found.files)
    if as_json:
        document = {
            "destination": store.address,
            "owner": owner,
            "stored_bytes": size,
            "storing": report.to_json() if report else None,
            "moments": moment_rows(found),
            "unreadable": found.unreadable,
            "files": [
                {
                    "server": file.id.uuid,
                    "name": file.id.name,
                    "created": file.id.created,
                    "size": file.mark.end,
                    "pieces": len(file.pieces),
                    "previous": str(file.mark.previous),
                    "executed": str(file.mark.executed),
                    "last_at": file.mark.last_at / 1e6,
                }
                for file in found.files
            ],
        }
        click.echo(json.dumps(document, indent=2))
        return
    if owner == own:
        for line in _now(settings, report, time.time()):
            click.echo(line)
    servers = len({file.id.uuid for file in found.files})
    click.echo(
        f"binary logs of {owner} in {store.address}: {len(found.files)} files of {servers} servers, {format_size(size)}"
    )
    for line in moment_lines(found):
        click.echo(line)


def _now(settings: Settings, report: Report | None, now: float) -> Iterator[str]:
    """Whether storing goes on, and what keeps it from that."""
    if not settings.backup.binlog.enabled:
        yield "nothing is being stored: [backup.binlog] enabled = false"
    elif report is None:
        yield f"nothing is known of the storing on this host: systemctl status {BINLOG_UNIT}"
    elif report.stale(now):
        ago = format_duration(now - report.noted_at)
        yield f"{BINLOG_UNIT} has noted nothing for {ago}, so nothing is being stored: systemctl status {BINLOG_UNIT}"
    else:
        yield report.line(now)
        yield from (note for note in (report.hint and f"try: {report.hint}", report.backup) if note)
