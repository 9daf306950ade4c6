"""`wbagent binlog`: the shipping of binary logs, and what can be restored with them."""

from __future__ import annotations

import json

import click

from wbagent.cli.context import load_settings, only_systemd
from wbagent.quantities import format_size
from wbagent.state import State
from wbagent.state_directory import state_directory

_UNIT = "wbagent-binlog.service"


@click.group()
def binlog() -> None:
    """Binary logs: restores to any moment."""


@binlog.command()
@click.pass_context
def run(ctx: click.Context) -> None:
    """Store binary logs until stopped: what wbagent-binlog.service runs."""
    only_systemd(_UNIT)
    from wbagent.backup.binlogs import run_shipping  # noqa: PLC0415 - boto3, PyMySQL and zstd

    settings = load_settings(ctx)
    with State() as state:
        run_shipping(settings, state, state_directory())


@binlog.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option("--owner", help="Those of another host: its [backup] owner.")
@click.pass_context
def status(ctx: click.Context, as_json: bool, owner: str | None) -> None:
    """Show which binary logs are stored, and which moments can be restored with them."""
    from wbagent.backup.binlogs import exact_position  # noqa: PLC0415
    from wbagent.backup.catalog import committed, read_catalog  # noqa: PLC0415 - as above
    from wbagent.binlog.catalog import read_catalog as read_binlogs  # noqa: PLC0415
    from wbagent.bucket.open import open_store  # noqa: PLC0415
    from wbagent.restore.history import Candidate, windows  # noqa: PLC0415
    from wbagent.restore.until import show  # noqa: PLC0415

    settings = load_settings(ctx).backup
    owner = owner or settings.owner
    store = open_store(settings, state_directory())
    files = read_binlogs(store, owner)
    backups = [
        Candidate(each.id, exact_position(store, each), int(each.finished_at.timestamp() * 1e6))
        for each in committed(read_catalog(store, owner))
    ]
    found = windows(backups, files)
    size = sum(sum(file.sizes.values()) for file in files)
    if as_json:
        document = {
            "destination": store.address,
            "owner": owner,
            "stored_bytes": size,
            "moments": [{"from": each.start / 1e6, "to": each.end / 1e6, "backup": each.backup} for each in found],
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
                for file in files
            ],
        }
        click.echo(json.dumps(document, indent=2))
        return
    servers = len({file.id.uuid for file in files})
    click.echo(
        f"binary logs of {owner} in {store.address}: {len(files)} files of {servers} servers, {format_size(size)}"
    )
    for each in found:
        click.echo(f"any moment from {show(each.start)} to {show(each.end)} (from backup {each.backup} on)")
    if not found:
        click.echo("no moment can be restored: that takes binary logs and a backup of before them with a position")
