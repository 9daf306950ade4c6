"""`wbagent verify`: the installation end to end as a client sees it, and `wandb verify` itself."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from wbagent.checks.check import Subject
from wbagent.checks.scratch import Scratch
from wbagent.cli.check import carry_out
from wbagent.cli.context import load_settings
from wbagent.errors import UsageError
from wbagent.verify import install as own
from wbagent.verify.address import host_of
from wbagent.verify.client import checked_api_key, find_client, read_api_key
from wbagent.verify.steps import CLIENT, Visitor, steps

_NO_CLIENT = "there is no wandb client on PATH"
_NO_KEY = "wandb verify logs in, and there is no API key"


@click.command()
@click.option(
    "--api-key-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file (0600) with an API key of the server; without it a terminal is asked.",
)
@click.option("--install-client", is_flag=True, help="Make a Python environment with the newest wandb client first.")
@click.option("--no-client", is_flag=True, help="Leave `wandb verify` out.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_context
def verify(ctx: click.Context, api_key_file: Path | None, install_client: bool, no_client: bool, as_json: bool) -> None:
    """Use the server as its users do, at the address of [server] host, and say what mends what does not work.

    Address, certificate, load balancer, signed URLs, the log of the start; then `wandb verify`, which leaves a project
    "verify" with a few runs in the key's account. Exit status 0: all is well; 1: there are warnings; 2: something
    fails.
    """
    settings = load_settings(ctx)
    host = host_of(settings)
    scratch = Scratch()
    visitor = _visitor(host, api_key_file, scratch, install=install_client, wanted=not no_client)
    carry_out(
        ctx,
        lambda progress: steps(settings, visitor, lambda label: progress.within(CLIENT, label)),
        Subject(settings, scratch),
        as_json=as_json,
    )


def _visitor(host: str, api_key_file: Path | None, scratch: Scratch, *, install: bool, wanted: bool) -> Visitor | None:
    if not wanted:
        if install or api_key_file:
            raise UsageError("--no-client leaves out what the other options are for", hint="drop one of them")
        return None
    # A wrong key is told before a minute is spent on the client.
    api_key = read_api_key(api_key_file) if api_key_file else None
    if install:
        click.echo("installing the wandb client …", err=True)
        own.install_client(scratch, own.client_directory())
    try:
        client = find_client(scratch, own.client_directory())
    except UsageError as error:
        # What needs no client is worth looking at all the same.
        return Visitor(missing=(error.message, error.hint))
    if client is None:
        return Visitor(missing=(_NO_CLIENT, "wbagent verify --install-client makes one of its own"))
    if api_key is None and sys.stdin.isatty():
        typed = click.prompt(f"API key of {host} (see {host}/authorize)", hide_input=True, err=True, default="")
        api_key = checked_api_key(typed, "the API key") if typed else None
    if api_key is None:
        return Visitor(client, missing=(_NO_KEY, f"copy one from {host}/authorize, and name it with --api-key-file"))
    return Visitor(client, api_key)
