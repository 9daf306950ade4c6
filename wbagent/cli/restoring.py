"""The ways that `wbagent restore` brings a backup back, and what it says of each afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from wbagent.age import Identity
from wbagent.backup.catalog import find_backup, newest_backup
from wbagent.backup.files import restore_files
from wbagent.backup.proof import read_proof
from wbagent.backup.standing import newest_proven
from wbagent.bucket.store import Store
from wbagent.cli.moments import known
from wbagent.cli.progress import progress_reporter
from wbagent.config.dsn import MysqlURL
from wbagent.config.model import BackupSettings
from wbagent.errors import BucketError
from wbagent.quantities import format_duration, format_size
from wbagent.restore.datadir import restore_datadir
from wbagent.restore.point_in_time import PointInTime
from wbagent.restore.run import Restored, restore_backup
from wbagent.restore.until import Until, show


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be restored and how, wherever to; `name` is a backup's id or "latest"."""

    store: Store
    settings: BackupSettings
    name: str
    identity: Identity | None
    overwrite: bool
    checksums: bool


def warn_of_bad(order: Order) -> None:
    """Say that "latest" is a backup that its drill found bad, and which is the newest that was proven."""
    store, owner = order.store, order.settings.owner
    newest = newest_backup(store, owner)
    try:
        proof = read_proof(store, newest) if newest else None
        if newest is None or proof is None or proof.ok:
            return
        proven = newest_proven(store, owner)
    except BucketError as error:
        click.echo(f"warning: whether the newest backup was proven cannot be read: {error.message}", err=True)
        return
    click.echo(f"warning: {newest.id}, the newest backup, is BAD, as its drill found: {proof.reason}", err=True)
    better = (
        f"the newest proven one: wbagent restore {proven[0].id}" if proven else "none is proven: wbagent backup list"
    )
    click.echo(f"  try: {better}", err=True)


def to_a_moment(order: Order, target: MysqlURL | Path, until: Until) -> None:
    """Into a database or a data directory, and binary logs after it."""
    with progress_reporter() as report:
        way = PointInTime(order.store, order.settings, until, order.identity, report, checksums=order.checksums)
        done = way.restore(target, order.name, known(order.settings.owner), overwrite=order.overwrite)
    survey, backup = done.survey, done.restored.manifest
    click.echo(f"backup {backup.id} of {backup.started_at.astimezone():%Y-%m-%d %H:%M:%S%z}, rolled forward to {until}")
    last = (
        f"the last {survey.last.gtid}, committed at {show(survey.last.committed_at)}" if survey.last else "none needed"
    )
    click.echo(f"{survey.count} transactions applied, {last}; in {format_duration(done.duration_s)}")
    if survey.left_out:
        click.echo(f"left out, for they are of other databases or of accounts: {survey.left_out}")
    _tell_compared(done.restored)
    if isinstance(target, Path):
        _tell_directory(done.restored, target)


def database(order: Order, target: MysqlURL) -> None:
    """Into a database of a running server."""
    with progress_reporter() as report:
        done = restore_backup(
            order.store,
            order.settings,
            order.name,
            target,
            report,
            overwrite=order.overwrite,
            identity=order.identity,
            checksums=order.checksums,
        )
    if done.replaced:
        click.echo(f"the database was {done.replaced}: that was dropped")
    if done.created:
        click.echo("the database was created")
    _tell_done(done)


def data_directory(order: Order, directory: Path) -> None:
    """Into a directory that MySQL then starts on."""
    with progress_reporter() as report:
        done = restore_datadir(
            order.store,
            order.settings,
            order.name,
            directory,
            report,
            overwrite=order.overwrite,
            identity=order.identity,
            checksums=order.checksums,
        )
    if done.replaced:
        click.echo(f"{directory} was {done.replaced}: that was removed")
    _tell_done(done)
    _tell_directory(done, directory)


def _tell_directory(done: Restored, directory: Path) -> None:
    for warning in done.warnings:
        click.echo(f"warning: {warning}", err=True)
    if done.gtid_executed:
        click.echo(f"it holds the transactions {done.gtid_executed}")
    click.echo(f"mysqld was started on it and stopped in order; to use it: datadir = {directory}")
    if done.manifest.engine == "clone":
        click.echo("its accounts are those of the server that was backed up")
    else:
        click.echo("its only account is root@localhost WITHOUT A PASSWORD: set one, and make the server's account")


def files(order: Order, path: Path) -> None:
    """An embedded server's files, as a tar."""
    with progress_reporter() as report:
        backup = find_backup(order.store, order.settings.owner, order.name)
        done = restore_files(order.store, backup, path, report, order.identity)
    click.echo(f"{path}: {done.members} files of the embedded server; the checksum was right")
    click.echo(f"  to put them back into a running one: docker cp --archive - wandb-local:/vol < {path}")
    click.echo("  and then: systemctl restart wandb-local")


def _tell_done(done: Restored) -> None:
    click.echo(
        f"{done.tables} tables, {format_size(done.manifest.data.plain_size)}"
        f" in {format_duration(done.duration_s)}; the checksum was right"
    )
    _tell_compared(done)


def _tell_compared(done: Restored) -> None:
    result = done.compared
    if result.counted:
        click.echo(f"{result.row_count} rows in {result.counted} tables: as many as were in the backup")
    elif not result.proven:
        click.echo("tables, views, routines, triggers and events are all there; the backup has no row counts")
    if result.proven:
        click.echo(f"equal to what was proven: {result.proven} of {done.tables} tables, by CHECKSUM TABLE")
    for note in result.notes:
        click.echo(f"warning: {note}", err=True)
