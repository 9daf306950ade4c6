"""`wbagent server`: the wandb/local container; `run` and `cleanup` are what wandb-local.service calls."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wbagent.cli.context import config_path, load_config, load_section, only_systemd
from wbagent.errors import AccessError, ConfigError, DockerError, UsageError
from wbagent.systemd.unit_names import SERVER_UNIT

if TYPE_CHECKING:
    from wbagent.config.server import ServerSettings
    from wbagent.server.history import Record


@click.group()
def server() -> None:
    """The wandb/local container, kept running by wandb-local.service."""


@server.command(hidden=True)
@click.pass_context
def run(ctx: click.Context) -> None:
    """Run the container in the foreground (ExecStart= of wandb-local.service)."""
    only_systemd(SERVER_UNIT)
    # Ahead of all that a command line needs: its start is part of every outage.
    environment = os.environ | {"WBAGENT_CONFIG": str(config_path(ctx))}
    os.execve(sys.executable, [sys.executable, "-I", "-m", "wbagent.server"], environment)  # noqa: S606 - that is meant


def _settings(ctx: click.Context) -> ServerSettings:
    settings = load_section(ctx, "server").server
    if settings is None:
        raise ConfigError(
            f"{config_path(ctx)}: has no section [server], so there is no server to run", hint="wbagent config template"
        )
    return settings


@server.command(hidden=True)
def cleanup() -> None:
    """Clean up after the runner (ExecStopPost= of wandb-local.service)."""
    from wbagent.server.cleanup import clean_up  # noqa: PLC0415 - `--help` needs none of it

    clean_up()


@server.command(hidden=True)
@click.argument("port", type=int)
def relay(port: int) -> None:
    """Pass one connection on to a port within the container (ExecStart= of wandb-local-mysql@.service)."""
    from wbagent.server.relay import relay as pass_on  # noqa: PLC0415 - see `cleanup`

    with socket.socket(fileno=os.dup(0)) as accepted:
        pass_on(accepted, port)


@server.command(hidden=True)
def archive() -> None:
    """Write an archive of /vol/env to standard output (ExecStart= of wandb-local-files@.service)."""
    from wbagent.server.archive import write_archive  # noqa: PLC0415 - see `run`

    write_archive(sys.stdout.buffer)


@server.command()
@click.argument("number", type=click.IntRange(min=1), required=False)
@click.option("--last", type=click.IntRange(min=1), default=20, show_default=True, help="How many, the newest ones.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option("--verbose", is_flag=True, help="With all the evidence: exit status, last probe, last log lines.")
def history(number: int | None, last: int, as_json: bool, verbose: bool) -> None:
    """Show when the server started and ended, why, and how long it was away.

    NUMBER shows one record with all its evidence; the newest is 1.
    """
    from wbagent.cli import server_history  # noqa: PLC0415 - see `cleanup`

    records, now = _records(), time.time()
    if number is not None:
        if number > len(records):
            raise UsageError(f"there is no record {number}: the history holds {len(records)}")
        if not as_json:
            click.echo("\n".join(server_history.one(records, number, now)))
            return
        document = server_history.document(records, number, now)[:1]
    else:
        document = server_history.document(records, last, now) if as_json else []
    if as_json:
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    elif not records:
        click.echo("the server has not started or ended on this host yet")
    else:
        click.echo("\n".join(server_history.lines(records, last, now, verbose=verbose)))


@server.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_context
def diff(ctx: click.Context, as_json: bool) -> None:
    """Show what a restart of the server would change. Needs root, or both groups docker and wbagent.

    Exit status 0: nothing; 1: something (as diff has them).
    """
    settings = _settings(ctx)
    from wbagent.server import door  # noqa: PLC0415 - see `run`
    from wbagent.server.container import SOCKET, Docker  # noqa: PLC0415
    from wbagent.server.diff import differences  # noqa: PLC0415
    from wbagent.server.digest_key import digest_key  # noqa: PLC0415
    from wbagent.server.specification import specification  # noqa: PLC0415

    path = SOCKET.removeprefix("unix://")
    if Path(path).exists() and not os.access(path, os.R_OK | os.W_OK):
        raise AccessError("this user may not speak to Docker", hint="run this as root, or as a member of group docker")
    with Docker() as docker:
        container = docker.inspect()
        if container is None:
            raise DockerError("no server runs, so there is nothing to compare", hint="systemctl start wandb-local")
        wanted = specification(settings, systemd_cgroups=docker.systemd_cgroups(), key=digest_key())
        if door.closed():
            wanted = wanted.unpublished()
        image = docker.inspect_image(wanted.image)
        of_image = docker.inspect_image(container["Image"]) or {}
        found = differences(container, of_image, wanted, str(image["Id"]) if image else None, docker.unlimited())
    if as_json:
        click.echo(json.dumps([asdict(one) for one in found], indent=2, ensure_ascii=False))
    elif found:
        click.echo("a restart (systemctl restart wandb-local) would change:")
        click.echo("\n".join(f"  {one.sentence()}" for one in found))
    else:
        click.echo("the server runs with the settings of the configuration: a restart would change nothing")
    ctx.exit(1 if found else 0)


@server.command()
@click.argument("why")
@click.option("--for", "length", default="1h", show_default=True, metavar="TIME", help='Such as "30min" or "2h".')
def pause(why: str, length: str) -> None:
    """Pause the server's supervision for maintenance; it ends by itself.

    Meanwhile failed probes restart nothing, and the server raises no alerts.
    """
    from wbagent.cli.server_pause import begin  # noqa: PLC0415 - see `cleanup`

    begin(why, length)


@server.command()
def resume() -> None:
    """End the pause now."""
    from wbagent.cli.server_pause import end  # noqa: PLC0415 - see `cleanup`

    end()


@server.command()
@click.option("--mysql", metavar="DSN", help="The external database, empty: @FILE, or - for standard input.")
@click.option("--bucket", metavar="S3URL", help="The external bucket, empty: @FILE, or - for standard input.")
@click.option(
    "--own-bucket",
    metavar="S3URL",
    help="The embedded object store with its keys, s3://KEY:SECRET@127.0.0.1:9000/local-files: @FILE, or -.",
)
@click.option("--check", is_flag=True, help="Only look whether it can be done.")
@click.option("--undo", is_flag=True, help="Let the embedded server serve again, as it was before.")
@click.pass_context
def externalize(
    ctx: click.Context, mysql: str | None, bucket: str | None, own_bucket: str | None, check: bool, undo: bool
) -> None:
    """Move an embedded server to an external MySQL and bucket. Needs root.

    Nothing is changed before everything was checked; the server is closed to its users while it is copied. Run it
    again after an interruption: it goes on, and --undo goes back.
    """
    from wbagent.cli import server_externalize  # noqa: PLC0415 - see `run`

    loaded = load_config(ctx)
    if undo:
        server_externalize.undo(loaded)
        return
    if mysql is None or bucket is None or own_bucket is None:
        raise UsageError("--mysql, --bucket and --own-bucket are needed", hint="wbagent server externalize --help")
    server_externalize.move(loaded, server_externalize.Ends.parse(mysql, bucket, own_bucket), only_check=check)


@server.command()
@click.argument("tag", required=False)
@click.option("--from-file", "file", metavar="TAR", help="Load the image from a file of `docker save`.")
@click.option("--without-backup", is_flag=True, help="Upgrade though no backup is made before.")
@click.option("--restore-database", is_flag=True, help="On the way back also restore the backup made before.")
@click.option("--undo", is_flag=True, help="Go back to the image before the last upgrade.")
@click.option("--status", "show_status", is_flag=True, help="Show the last upgrade with its evidence.")
@click.option("--json", "as_json", is_flag=True, help="With --status: for programs.")
@click.option("--in-process", is_flag=True, hidden=True, help="What the unit calls: carry out what was asked for.")
@click.pass_context
def upgrade(
    ctx: click.Context,
    tag: str | None,
    file: str | None,
    without_backup: bool,
    restore_database: bool,
    undo: bool,
    show_status: bool,
    as_json: bool,
    in_process: bool,
) -> None:
    """Upgrade the server to TAG: a tag, a digest, or a full image name.

    The old image serves while the new one is fetched and a backup is made and proven. When the new one does not get
    ready within its start-up budget, the old one is put back. The work is done by wbagent-upgrade.service, which goes
    on without this command. After an interruption the same command completes it, and --undo goes back.
    """
    from wbagent.cli import server_upgrade  # noqa: PLC0415 - see `cleanup`

    if sum([bool(tag), undo, show_status, in_process]) != 1:
        raise UsageError("name a TAG, or --undo, or --status", hint="wbagent server upgrade 0.84.0")
    if in_process:
        ctx.exit(server_upgrade.work(ctx))
    if show_status:
        ctx.exit(server_upgrade.show(as_json=as_json))
    ctx.exit(
        server_upgrade.begin(
            ctx, tag or "", file or "", with_backup=not without_backup, restore_database=restore_database
        )
    )


def _records() -> tuple[Record, ...]:
    from wbagent.server.history import history_path, read  # noqa: PLC0415

    try:
        return read()
    except PermissionError:
        raise AccessError(
            f"{history_path()} may not be read by this user",
            hint="run this as root, or as a member of group wbagent or systemd-journal",
        ) from None
