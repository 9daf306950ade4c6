"""`wbagent server`: the wandb/local container; `run` and `cleanup` are what wandb-local.service calls."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import click

from wbagent.cli.context import config_path, load_settings
from wbagent.errors import AccessError, ConfigError, UsageError

if TYPE_CHECKING:
    from wbagent.config.model import ServerSettings
    from wbagent.server.history import Record


@click.group()
def server() -> None:
    """The wandb/local container, kept running by wandb-local.service."""


@server.command(hidden=True)
@click.pass_context
def run(ctx: click.Context) -> None:
    """Run the container in the foreground (ExecStart= of wandb-local.service)."""
    from wbagent.server import report  # noqa: PLC0415 - see `cleanup`

    try:
        settings = _settings(ctx)
    except ConfigError as error:
        report.refused(error)
        raise
    from wbagent.server.runner import Runner  # noqa: PLC0415 - the Docker SDK takes 80 ms to import

    ctx.exit(Runner(settings).run())


def _settings(ctx: click.Context) -> ServerSettings:
    settings = load_settings(ctx).server
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


def _records() -> tuple[Record, ...]:
    from wbagent.server.history import history_path, read  # noqa: PLC0415

    try:
        return read()
    except PermissionError:
        raise AccessError(
            f"{history_path()} may not be read by this user",
            hint="run this as root, or as a member of group wbagent or systemd-journal",
        ) from None
