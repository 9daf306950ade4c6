"""`wbagent server`: the wandb/local container; `run` and `cleanup` are what wandb-local.service calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from wbagent.cli.context import config_path, load_settings
from wbagent.errors import ConfigError

if TYPE_CHECKING:
    from wbagent.config.model import ServerSettings


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
