"""`wbagent binlog`: the shipping of binary logs, and what can be restored with them."""

from __future__ import annotations

import click

from wbagent.cli.context import load_settings, only_systemd
from wbagent.state import State
from wbagent.state_directory import state_directory

_UNIT = "wbagent-binlog.service"


@click.group()
def binlog() -> None:
    """Binary logs: restores to any moment."""


@binlog.command()
@click.pass_context
def run(ctx: click.Context) -> None:
    """Store binary logs until stopped: what wbagent-binlog.service runs."""
    only_systemd(_UNIT)
    from wbagent.backup.binlogs import run_shipping  # noqa: PLC0415 - boto3, PyMySQL and zstd

    settings = load_settings(ctx)
    with State() as state:
        run_shipping(settings, state, state_directory())
