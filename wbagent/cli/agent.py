"""`wbagent agent`: the long-running agent that wbagent.service runs."""

from __future__ import annotations

import click

from wbagent.cli.context import config_path, only_systemd
from wbagent.systemd.unit_names import AGENT_UNIT


@click.group(hidden=True)
def agent() -> None:
    """The agent itself, run by wbagent.service."""


@agent.command()
@click.pass_context
def run(ctx: click.Context) -> None:
    """Run until stopped as wbagent.service does."""
    only_systemd(AGENT_UNIT)
    from wbagent.agent.__main__ import run as run_agent  # noqa: PLC0415 - its weight is carried by no other command

    run_agent(config_path(ctx), verbose=ctx.find_root().meta.get("verbose", False))
