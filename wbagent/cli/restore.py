"""`wbagent restore`: bring a backup back as a database, a data directory, or an embedded server's files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wbagent.cli.context import load_settings
from wbagent.cli.moments import covered_at
from wbagent.errors import UsageError
from wbagent.quantities import format_duration, format_size
from wbagent.state_directory import state_directory

if TYPE_CHECKING:
    from wbagent.age import Identity
    from wbagent.bucket.store import Store
    from wbagent.config.dsn import MysqlURL
    from wbagent.config.model import BackupSettings
    from wbagent.restore.run import Restored
    from wbagent.restore.until import Until


@click.command()
@click.argument("name", metavar="[ID]", required=False, default="")
@click.option(
    "--into",
    metavar="DSN",
    help="mysql://USER:PASSWORD@HOST/DATABASE; @FILE reads it from a file, - from standard input."
    " Prefer these two: every user of this host can read a command line."
    ' The word "embedded" is the database of the embedded server that runs on this host.',
)
@click.option(
    "--datadir",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Make DIR a data directory that MySQL starts on. It must be empty or absent, and MySQL's server program here.",
)
@click.option(
    "--overwrite",
    is_flag=True,
    help="Also into a target that is not empty: DROPS the database with all that is in it, or REMOVES all of DIR.",
)
@click.option(
    "--files",
    "files_path",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the files of an embedded server (/vol/env) to FILE, a tar that only you can read.",
)
@click.option(
    "--at",
    metavar="TIME",
    help='Roll forward to this moment, such as "2026-11-23 14:05:00": local time, or with an offset.',
)
@click.option("--before-gtid", metavar="UUID:N", help="Roll forward to just before this transaction.")
@click.option(
    "--identity",
    "identity_path",
    metavar="FILE",
    help="The secret key for an encrypted backup: a file as age-keygen writes it, or - for standard input.",
)
@click.option("--owner", help="Restore a backup of another host: its [backup] owner.")
@click.pass_context
def restore(
    ctx: click.Context,
    name: str,
    *,
    into: str | None,
    datadir: Path | None,
    overwrite: bool,
    files_path: Path | None,
    at: str | None,
    before_gtid: str | None,
    identity_path: str | None,
    owner: str | None,
) -> None:
    """Restore backup ID (or "latest") into a database or data directory that is empty or does not exist yet.

    The backup's checksum is proven before anything is lost; afterwards tables and rows are compared. One that was
    interrupted begins anew when it is run again; until it has come to its end, nothing takes its target for a good one.
    With --at or --before-gtid the newest backup of before that is restored (unless ID names one), and the stored binary
    logs are applied to it up to there.
    """
    until = _until(at, before_gtid, name, target_given=into is not None or datadir is not None)
    if into is None and datadir is None and files_path is None:
        raise UsageError(
            "say what to restore: the database, a data directory or the embedded server's files",
            hint="--into, --datadir, --files",
        )
    if into == identity_path == "-":
        raise UsageError("standard input cannot be two things", hint="give one of them as a file")
    if into is not None and datadir is not None:
        raise UsageError("a database and a data directory are two restores", hint="one of --into and --datadir")
    # PyMySQL, zstd and perhaps boto3: not needed to refuse a wrong argument.
    from wbagent.age import Identity  # noqa: PLC0415
    from wbagent.backup.lock import restoring  # noqa: PLC0415
    from wbagent.bucket.open import open_store  # noqa: PLC0415

    settings = load_settings(ctx).backup
    target = mysql_url("--into", into) if into is not None else None
    if owner:
        settings = settings.model_copy(update={"owner": owner})
    identity = Identity(_identity_text(identity_path)) if identity_path is not None else None
    store = open_store(settings, state_directory(), patient=True)
    with restoring(state_directory()):
        if files_path is not None:
            _restore_files(store, settings.owner, name, files_path, identity)
        try:
            if until is not None and (place := target or datadir):
                _roll_forward(store, settings, name, place, until, identity, overwrite=overwrite)
            elif target is not None:
                _restore_database(store, settings, name, target, identity, overwrite=overwrite)
            elif datadir is not None:
                _restore_datadir(store, settings, name, datadir, identity, overwrite=overwrite)
        except KeyboardInterrupt:
            click.echo("not complete, so not to be used; run it again: it begins anew", err=True)
            raise


def _until(at: str | None, before_gtid: str | None, name: str, *, target_given: bool) -> Until | None:
    if at is None and before_gtid is None:
        if not name:
            raise UsageError('name a backup, or "latest"', hint="wbagent backup list")
        return None
    if at is not None and before_gtid is not None:
        raise UsageError("--at and --before-gtid are two ends", hint="give one of them")
    if not target_given:
        raise UsageError("say where the moment is to be restored to", hint="--into, --datadir")
    from wbagent.restore.until import parse_until  # noqa: PLC0415 - as the rest of what restores

    return parse_until(at, before_gtid)


def _roll_forward(
    store: Store,
    settings: BackupSettings,
    name: str,
    target: MysqlURL | Path,
    until: Until,
    identity: Identity | None,
    *,
    overwrite: bool,
) -> None:
    from wbagent.cli.progress import progress_reporter  # noqa: PLC0415 - as above
    from wbagent.restore.point_in_time import PointInTime  # noqa: PLC0415
    from wbagent.restore.until import show  # noqa: PLC0415

    with progress_reporter() as report:
        way = PointInTime(store, settings, until, identity, report)
        target = target.absolute() if isinstance(target, Path) else target
        done = way.restore(target, name, covered_at(settings.owner), overwrite=overwrite)
    survey, backup = done.survey, done.restored.manifest
    click.echo(f"backup {backup.id} of {backup.started_at.astimezone():%Y-%m-%d %H:%M:%S%z}, rolled forward to {until}")
    last = (
        f"the last {survey.last.gtid}, committed at {show(survey.last.committed_at)}" if survey.last else "none needed"
    )
    click.echo(f"{survey.count} transactions applied, {last}; in {format_duration(done.duration_s)}")
    if survey.left_out:
        click.echo(f"left out, for they are of other databases or of accounts: {survey.left_out}")
    if isinstance(target, Path):
        _print_directory(done.restored, target)


def _restore_files(store: Store, owner: str, name: str, path: Path, identity: Identity | None) -> None:
    from wbagent.backup.catalog import find_backup  # noqa: PLC0415 - as above
    from wbagent.backup.files import restore_files  # noqa: PLC0415
    from wbagent.cli.progress import progress_reporter  # noqa: PLC0415

    with progress_reporter() as report:
        done = restore_files(store, find_backup(store, owner, name), path, report, identity)
    click.echo(f"{path}: {done.members} files of the embedded server; the checksum was right")
    click.echo(f"  to put them back into a running one: docker cp --archive - wandb-local:/vol < {path}")
    click.echo("  and then: systemctl restart wandb-local")


def _restore_database(
    store: Store, settings: BackupSettings, name: str, target: MysqlURL, identity: Identity | None, *, overwrite: bool
) -> None:
    from wbagent.cli.progress import progress_reporter  # noqa: PLC0415
    from wbagent.restore.run import restore_backup  # noqa: PLC0415 - as above

    with progress_reporter() as report:
        done = restore_backup(store, settings, name, target, report, overwrite=overwrite, identity=identity)
    if done.replaced:
        click.echo(f"the database was {done.replaced}: that was dropped")
    if done.created:
        click.echo("the database was created")
    _print_done(done)


def _restore_datadir(
    store: Store, settings: BackupSettings, name: str, directory: Path, identity: Identity | None, *, overwrite: bool
) -> None:
    from wbagent.cli.progress import progress_reporter  # noqa: PLC0415 - as above
    from wbagent.restore.datadir import restore_datadir  # noqa: PLC0415

    with progress_reporter() as report:
        done = restore_datadir(
            store, settings, name, directory.absolute(), report, overwrite=overwrite, identity=identity
        )
    if done.replaced:
        click.echo(f"{directory} was {done.replaced}: that was removed")
    _print_done(done)
    _print_directory(done, directory)


def _print_directory(done: Restored, directory: Path) -> None:
    for warning in done.warnings:
        click.echo(f"warning: {warning}", err=True)
    if done.gtid_executed:
        click.echo(f"it holds the transactions {done.gtid_executed}")
    click.echo(f"mysqld was started on it and stopped in order; to use it: datadir = {directory.absolute()}")
    if done.manifest.engine == "clone":
        click.echo("its accounts are those of the server that was backed up")
    else:
        click.echo("its only account is root@localhost WITHOUT A PASSWORD: set one, and make the server's account")


def _print_done(done: Restored) -> None:
    click.echo(
        f"{done.tables} tables, {format_size(done.manifest.data.plain_size)}"
        f" in {format_duration(done.duration_s)}; the checksum was right"
    )
    if done.counted:
        click.echo(f"{done.row_count} rows in {done.counted} tables: as many as were dumped")
    else:
        click.echo("tables, views, routines, triggers and events are all there; the backup has no row counts")


def _identity_text(path: str) -> str:
    """The whole text of an identity file, or of standard input; raises UsageError."""
    try:
        return sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UsageError(f"--identity {path}: {reason}", hint="a file as age-keygen writes it") from None


def mysql_url(option: str, value: str) -> MysqlURL:
    """What an option names: a connection string, @FILE, - for standard input, or "embedded"; raises UsageError."""
    from wbagent.config.connection_string import ConnectionStringError  # noqa: PLC0415
    from wbagent.config.dsn import MysqlURL  # noqa: PLC0415
    from wbagent.config.embedded import MYSQL  # noqa: PLC0415

    if value == "embedded":
        return MYSQL
    try:
        return MysqlURL.parse(secret_text(option, value))
    except ConnectionStringError as error:
        raise UsageError(f"{option}: {error}", hint=f"write it as {MysqlURL.example}") from None


def secret_text(option: str, value: str) -> str:
    """The text that an option gives itself, in @FILE or on standard input (-); raises UsageError."""
    try:
        if value == "-":
            return sys.stdin.readline().strip()
        text = Path(value[1:]).read_text(encoding="utf-8") if value.startswith("@") else value
    except OSError as error:
        raise UsageError(
            f"{option} {value}: {error.strerror}", hint="name a file that holds the connection string"
        ) from None
    return text.strip()
