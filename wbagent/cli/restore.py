"""`wbagent restore`: bring a backup back as a database, a data directory, or an embedded server's files."""

from __future__ import annotations

import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wbagent.cli.context import load_settings
from wbagent.cli.ending import Interrupted, interruptible
from wbagent.errors import UsageError
from wbagent.state_directory import state_directory

if TYPE_CHECKING:
    from wbagent.config.dsn import S3URL, MysqlURL
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
    type=click.Path(path_type=Path),
    help="Make DIR a data directory that MySQL starts on. It must be empty or absent, and MySQL's server program here.",
)
@click.option(
    "--overwrite",
    is_flag=True,
    help="Also into a target that is not empty: DROPS the database with all that is in it, or REMOVES all of DIR, which"
    " has to be a data directory of MySQL.",
)
@click.option(
    "--files",
    "files_path",
    metavar="FILE",
    type=click.Path(path_type=Path),
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
@click.option(
    "--no-checksums",
    is_flag=True,
    help="Do not read every row once more to hold it against the checksums of the backup's proof: sooner, less sure.",
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
    no_checksums: bool,
    owner: str | None,
) -> None:
    """Restore backup ID (or "latest") into a database or data directory that is empty or does not exist yet.

    The backup's checksum is proven before anything is lost; afterwards tables, definitions and rows are compared. One
    that was interrupted begins anew when it is run again; until it has come to its end, nothing takes its target for a
    good one. With --at or --before-gtid the newest backup of before that is restored (unless ID names one), and the
    stored binary logs are applied to it up to there.
    """
    until = _until(at, before_gtid, name, target_given=into is not None or datadir is not None)
    _refuse_contradictions(into, datadir, files_path, identity_path)
    # PyMySQL, zstd and perhaps boto3: not needed to refuse a wrong argument.
    from wbagent.age import Identity  # noqa: PLC0415
    from wbagent.backup.lock import restoring  # noqa: PLC0415
    from wbagent.bucket.open import open_store  # noqa: PLC0415
    from wbagent.cli import restoring as ways  # noqa: PLC0415

    settings = load_settings(ctx).backup
    target = mysql_url("--into", into) if into is not None else None
    directory = datadir.absolute() if datadir is not None else None
    if owner:
        settings = settings.model_copy(update={"owner": owner})
    identity = Identity(_identity_text(identity_path)) if identity_path is not None else None
    store = open_store(settings, state_directory(), patient=True)
    order = ways.Order(store, settings, name, identity, overwrite=overwrite, checksums=not no_checksums)
    try:
        with interruptible(), restoring(state_directory()):
            if name == "latest" and until is None:
                ways.warn_of_bad(order)
            if files_path is not None:
                ways.files(order, files_path)
            if until is not None and (place := target or directory):
                ways.to_a_moment(order, place, until)
            elif target is not None:
                ways.database(order, target)
            elif directory is not None:
                ways.data_directory(order, directory)
    except Interrupted as ended:
        # The terminal may be what has gone.
        with suppress(OSError):
            left = "; ".join(getattr(ended, "__notes__", ())) or "nothing was touched"
            name_of = signal.Signals(ended.number).name
            click.echo(f"ended by {name_of} before it was complete: {left}", err=True)
            click.echo("  to go on, run the same command again: it begins anew", err=True)
        ctx.exit(128 + ended.number)


def _refuse_contradictions(
    into: str | None, datadir: Path | None, files_path: Path | None, identity_path: str | None
) -> None:
    if into is None and datadir is None and files_path is None:
        raise UsageError(
            "say what to restore: the database, a data directory or the embedded server's files",
            hint="--into, --datadir, --files",
        )
    if into == identity_path == "-":
        raise UsageError("standard input cannot be two things", hint="give one of them as a file")
    if into is not None and datadir is not None:
        raise UsageError("a database and a data directory are two restores", hint="one of --into and --datadir")
    if datadir == Path():
        # An unset variable in a script would else be the directory that one stands in.
        raise UsageError("--datadir names no directory", hint="name one by its path; this one: --datadir $PWD")
    if datadir is not None and datadir.exists() and not datadir.is_dir():
        raise UsageError(f"--datadir {datadir} is a file", hint="name a directory that is empty or does not exist yet")
    if files_path is not None and files_path.is_dir():
        raise UsageError(f"--files {files_path} is a directory", hint=f"name a file, such as {files_path / 'env.tar'}")


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


def s3_url(option: str, value: str) -> S3URL:
    """The bucket that an option names: a connection string, @FILE, or - for standard input; raises UsageError."""
    from wbagent.config.connection_string import ConnectionStringError  # noqa: PLC0415
    from wbagent.config.dsn import S3URL  # noqa: PLC0415

    try:
        return S3URL.parse(secret_text(option, value))
    except ConnectionStringError as error:
        raise UsageError(f"{option}: {error}", hint=f"write it as {S3URL.example}") from None


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
