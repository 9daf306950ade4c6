"""`wbagent backup`: make, list, show, prove and prune backups."""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wbagent.cli.context import load_section, load_settings, why_the_unit_failed
from wbagent.errors import EX_IOERR, EX_TEMPFAIL, AccessError, StateError
from wbagent.monitor import backup_facts
from wbagent.quantities import format_duration, format_size
from wbagent.state import State
from wbagent.state_directory import state_directory
from wbagent.systemd.unit_names import BACKUP_UNIT

if TYPE_CHECKING:
    from wbagent.bucket.policy import Kind
    from wbagent.bucket.store import Store
    from wbagent.config import Settings

# What makes backups imports boto3, PyMySQL and zstd: half a second that `wbagent backup --help` need not wait.
_MARGIN_S = 120


@click.group()
def backup() -> None:
    """Make, list, show, prove and prune backups of the database."""


@backup.command()
@click.option("--in-process", is_flag=True, hidden=True, help="What the unit calls: make it in this process.")
@click.pass_context
def run(ctx: click.Context, in_process: bool) -> None:
    """Make a backup now: starts wbagent-backup.service and follows it to its end."""
    settings = load_settings(ctx)
    ctx.exit(_make(settings) if in_process else _follow(ctx))


@backup.command("list")
@click.option("--all", "show_all", is_flag=True, help="Also what is incomplete or damaged, and so is no backup.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option("--owner", help="Those of another host: its [backup] owner.")
@click.pass_context
def list_(ctx: click.Context, show_all: bool, as_json: bool, owner: str | None) -> None:
    """List the backups that can be restored, oldest first."""
    from wbagent.backup.catalog import read_catalog  # noqa: PLC0415
    from wbagent.backup.proof import read_proof  # noqa: PLC0415
    from wbagent.backup.record import proof_row, short_row  # noqa: PLC0415
    from wbagent.cli.backup_show import print_list  # noqa: PLC0415
    from wbagent.cli.moments import moment_lines, moment_rows, moments_or_why  # noqa: PLC0415

    settings = load_settings(ctx)
    store = _store(settings)
    owner = owner or settings.backup.owner
    catalog = read_catalog(store, owner)
    shown = [each for each in catalog if show_all or each.state == "complete"]
    proofs = {each.id: read_proof(store, each.manifest) for each in shown if each.manifest}
    moments, unknown = moments_or_why(store, owner)
    if as_json:
        document = {
            "destination": store.address,
            "off_site": store.off_site,
            "owner": owner,
            "backups": [short_row(each) | proof_row(proofs.get(each.id)) for each in shown],
            "moments": moment_rows(moments) if moments else None,
        }
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    print_list(store, owner, shown, proofs, len(catalog) - len(shown))
    for line in moment_lines(moments) if moments and moments.files else ():
        click.echo(line)
    if unknown:
        click.echo(f"which moments can be restored is not known: {unknown}", err=True)


@backup.command("check-destination")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option(
    "--policy",
    type=click.Choice(["minio", "ceph", "aws"]),
    help="Only print the least policy that this host's keys need, for this kind of store.",
)
@click.pass_context
def check_destination(ctx: click.Context, as_json: bool, policy: Kind | None) -> None:
    """Say what a thief with this host's keys could do to the backups.

    Probes with a small object of its own. Exit status 1 when something should be mended.
    """
    from wbagent.cli.backup_destination import check, print_policy  # noqa: PLC0415

    settings = load_settings(ctx)
    if policy:
        print_policy(settings, policy)
    else:
        ctx.exit(check(settings, as_json=as_json))


@backup.command()
@click.argument("name", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="The commit record as it is stored.")
@click.option("--owner", help="One of another host: its [backup] owner.")
@click.pass_context
def show(ctx: click.Context, name: str, as_json: bool, owner: str | None) -> None:
    """Show a backup's commit record; ID may be the word "latest"."""
    from wbagent.backup.catalog import find_backup  # noqa: PLC0415
    from wbagent.backup.proof import read_proof  # noqa: PLC0415
    from wbagent.cli.backup_show import print_record  # noqa: PLC0415

    settings = load_settings(ctx)
    store = _store(settings)
    manifest = find_backup(store, owner or settings.backup.owner, name)
    if as_json:
        click.echo(manifest.to_bytes(), nl=False)
    else:
        print_record(store, manifest, read_proof(store, manifest))


@backup.command()
@click.argument("name", metavar="[ID]", default="")
@click.option("--in-process", is_flag=True, hidden=True, help="What the unit calls: make it in this process.")
@click.option("--identity", type=click.Path(path_type=Path, dir_okay=False), hidden=True)
@click.pass_context
def drill(ctx: click.Context, name: str, *, in_process: bool, identity: Path | None) -> None:
    """Prove a backup now: restore it into a throw-away MySQL on this host and compare.

    Without ID it is the newest, unless that is proven already. Starts wbagent-drill.service and follows it to its end.
    """
    from wbagent.cli import backup_drill  # noqa: PLC0415 - as above

    settings = load_settings(ctx)
    ctx.exit(backup_drill.make(settings, name, identity) if in_process else backup_drill.follow(ctx, settings, name))


@backup.command("drill-container", hidden=True)
@click.option("--clean-up", is_flag=True, help="Remove what a run that was killed has left.")
@click.pass_context
def drill_container(ctx: click.Context, *, clean_up: bool) -> None:
    """Run MySQL in a container for the drill on standard input (ExecStart= of wandb-local-drill@.service)."""
    if clean_up and os.environ.get("SERVICE_RESULT") == "success":
        return
    from wbagent.drill import container  # noqa: PLC0415 - as above

    if clean_up:
        container.remove_own()
        return
    with socket.socket(fileno=os.dup(0)) as accepted:
        container.serve(accepted, load_section(ctx, "backup").backup.drill.image)


@backup.command()
@click.option("--dry-run", is_flag=True, help="Only show what would be removed, and why.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_context
def prune(ctx: click.Context, dry_run: bool, as_json: bool) -> None:
    """Remove the backups whose time has passed, as each backup does after its success; with a reason for each."""
    from wbagent.cli import backup_prune  # noqa: PLC0415

    ctx.exit(backup_prune.run(load_settings(ctx), dry_run=dry_run, as_json=as_json))


@backup.command("clone-directory", hidden=True)
@click.pass_context
def clone_directory(ctx: click.Context) -> None:
    """What the unit calls as root before and after a backup: make [backup] clone_directory, and empty it."""
    from wbagent.backup.engines.clone_directory import prepare  # noqa: PLC0415
    from wbagent.backup.engines.clone_run import end_abandoned  # noqa: PLC0415
    from wbagent.database.local import is_local  # noqa: PLC0415

    settings = load_settings(ctx)
    directory, url = Path(settings.backup.clone_directory), settings.database_url()
    if url is not None and directory.is_dir() and is_local(url):
        end_abandoned(url, directory)
    prepare(directory, owner="mysql", group="wbagent")


def _make(settings: Settings) -> int:
    """Make it in this process; returns the exit status."""
    from wbagent.backup.job import BackupFailedError, NotYetError, run_backup  # noqa: PLC0415
    from wbagent.cli.progress import progress_reporter  # noqa: PLC0415
    from wbagent.systemd.notify import extension, notify  # noqa: PLC0415

    # The unit's own time limit is for what hangs; a configured one may be longer.
    notify(extension(settings.backup.time_limit + _MARGIN_S))
    try:
        with State() as state, progress_reporter() as report:
            outcome = run_backup(settings, state, state_directory(), report)
    except NotYetError as error:
        notify(f"STATUS={error.message}")
        return 0
    except BackupFailedError as error:
        return error.exit_status
    notify(f"STATUS=backup {outcome.manifest.id} is complete, {format_size(outcome.manifest.size)}")
    return 0


def _follow(ctx: click.Context) -> int:
    """Start the unit, show its status lines, and say how it ended; returns the exit status."""
    from wbagent.cli.following import follow_unit  # noqa: PLC0415

    began = time.time()
    result = follow_unit(BACKUP_UNIT, "backup")
    last, failure, waiting = _facts(began)
    if result.ok and waiting is not None:
        click.echo(waiting["reason"], err=True)
        click.echo(f"  try: {waiting['hint']}", err=True)
        return EX_TEMPFAIL
    if result.ok:
        if last is None:
            click.echo("the backup is complete; see: wbagent backup list")
        else:
            size, took = format_size(last["stored_bytes"]), format_duration(last["duration_s"])
            where = last["destination"] + ("" if last["off_site"] else " (on this host: not off-site)")
            click.echo(f"backup {last['id']} is complete: {last['tables']} tables, {size} in {took}, in {where}")
            for warning in last["warnings"]:
                click.echo(f"warning: {warning}", err=True)
        return 0
    failure = failure or why_the_unit_failed(ctx, BACKUP_UNIT)
    click.echo(f"error: {BACKUP_UNIT} failed ({result.result}): {failure['reason']}", err=True)
    click.echo(f"  try: {failure.get('hint') or 'journalctl -u wbagent-backup'}", err=True)
    return result.exit_status or EX_IOERR


def _facts(began: float) -> tuple[dict[str, Any] | None, ...]:
    """What the run that ended since `began` left in the state file: its result, why it failed, what it waits for."""
    try:
        with State(read_only=True) as state:
            names = (backup_facts.LAST, backup_facts.LAST_FAILURE, backup_facts.NOT_YET)
            facts = [state.get(key) for key in names]
    except (AccessError, StateError):
        return None, None, None
    return tuple(fact.value if fact and fact.at >= began else None for fact in facts)


def _store(settings: Settings) -> Store:
    from wbagent.bucket.open import open_store  # noqa: PLC0415

    return open_store(settings.backup, state_directory())
