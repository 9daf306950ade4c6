"""`wbagent restore`: restore a backup into an empty database."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wbagent.cli.context import load_settings
from wbagent.errors import UsageError
from wbagent.quantities import format_duration, format_size
from wbagent.state_directory import state_directory

if TYPE_CHECKING:
    from wbagent.config.dsn import MysqlURL


@click.command()
@click.argument("name", metavar="ID")
@click.option(
    "--into",
    required=True,
    metavar="DSN",
    help="mysql://USER:PASSWORD@HOST/DATABASE; @FILE reads it from a file, - from standard input."
    " Prefer these two: every user of this host can read a command line.",
)
@click.option("--owner", help="Restore a backup of another host: its [backup] owner.")
@click.pass_context
def restore(ctx: click.Context, name: str, into: str, owner: str | None) -> None:
    """Restore backup ID (or "latest") into a database that is empty or does not exist yet.

    The backup's checksum is proven before anything is touched; afterwards tables and rows are compared.
    """
    # PyMySQL, zstd and perhaps boto3: not needed to refuse a wrong argument.
    from wbagent.backup.lock import restoring  # noqa: PLC0415
    from wbagent.backup.restore import restore_backup  # noqa: PLC0415
    from wbagent.bucket.open import open_store  # noqa: PLC0415
    from wbagent.cli.progress import progress_reporter  # noqa: PLC0415

    settings = load_settings(ctx).backup
    target = _target(into)
    if owner:
        settings = settings.model_copy(update={"owner": owner})
    store = open_store(settings, state_directory())
    with restoring(state_directory()), progress_reporter() as report:
        done = restore_backup(store, settings, name, target, report)
    if done.created:
        click.echo("the database did not exist and was created")
    click.echo(
        f"{done.tables} tables, {format_size(done.manifest.object.plain_size)} of SQL"
        f" in {format_duration(done.duration_s)}; the checksum was right"
    )
    if done.counted:
        click.echo(f"{done.row_count} rows in {done.counted} tables: as many as were dumped")
    else:
        click.echo("tables, views, routines, triggers and events are all there; the backup has no row counts")


def _target(into: str) -> MysqlURL:
    from wbagent.config.connection_string import ConnectionStringError  # noqa: PLC0415
    from wbagent.config.dsn import MysqlURL  # noqa: PLC0415

    try:
        if into == "-":
            text = sys.stdin.readline()
        else:
            text = Path(into[1:]).read_text(encoding="utf-8") if into.startswith("@") else into
        return MysqlURL.parse(text.strip())
    except OSError as error:
        raise UsageError(
            f"--into {into}: {error.strerror}", hint="name a file that holds the connection string"
        ) from None
    except ConnectionStringError as error:
        raise UsageError(f"--into: {error}", hint=f"write it as {MysqlURL.example}") from None
