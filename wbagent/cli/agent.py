"""`wbagent agent`: the long-running agent that wbagent.service runs."""

from __future__ import annotations

import click

from wbagent.cli.context import config_path, only_systemd


@click.group(hidden=True)
def agent() -> None:
    """The agent itself, run by wbagent.service."""


@agent.command()
@click.pass_context
def run(ctx: click.Context) -> None:
    """Run until stopped (ExecStart= of wbagent.service)."""
    only_systemd("wbagent.service")
    import asyncio  # noqa: PLC0415 - the agent's own weight, which no other command carries

    from wbagent.agent.loop import Agent  # noqa: PLC0415 - as above
    from wbagent.state import State  # noqa: PLC0415 - as above
    from wbagent.systemd import journal  # noqa: PLC0415 - as above

    journal.configure(verbose=ctx.find_root().meta.get("verbose", False))
    with State() as state:
        asyncio.run(Agent(config_path(ctx), state).run())
