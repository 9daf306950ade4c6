"""`wbagent server`: the wandb/local container; `run` and `cleanup` are what wandb-local.service calls."""

from __future__ import annotations

import click

from wbagent.cli.context import config_path, load_settings
from wbagent.errors import ConfigError


@click.group()
def server() -> None:
    """The wandb/local container, kept running by wandb-local.service."""


@server.command(hidden=True)
@click.pass_context
def run(ctx: click.Context) -> None:
    """Run the container in the foreground (ExecStart= of wandb-local.service)."""
    from wbagent.server.runner import Runner  # noqa: PLC0415 - the Docker SDK takes 80 ms to import

    settings = load_settings(ctx).server
    if settings is None:
        raise ConfigError(
            f"{config_path(ctx)}: has no section [server], so there is no server to run",
            hint="wbagent config template",
        )
    ctx.exit(Runner(settings).run())


@server.command(hidden=True)
def cleanup() -> None:
    """Clean up after the runner (ExecStopPost= of wandb-local.service)."""
    from wbagent.server.cleanup import clean_up  # noqa: PLC0415 - as above

    clean_up()
