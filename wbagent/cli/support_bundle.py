"""`wbagent support-bundle`: one archive for W&B's support, without secrets."""

from __future__ import annotations

import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click

from wbagent.cli.context import config_path
from wbagent.quantities import format_size


@click.command("support-bundle")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="The archive to write, .tar.gz or .tar.zst; default: wbagent-support-HOST-TIME.tar.gz in this directory.",
)
@click.pass_context
def support_bundle(ctx: click.Context, output: Path | None) -> None:
    """Write one archive for W&B's support: configuration, units, last log lines, histories, the results of all checks.

    Secrets are left out; names and addresses are not. Run it as root: what another user may not see is missing in it.
    """
    from wbagent.support.bundle import make  # noqa: PLC0415 - Docker and the checks' world are for this command alone

    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    path = output or Path(f"wbagent-support-{socket.gethostname()}-{stamp}.tar.gz")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    made = make(config_path(ctx), path, _progress())
    if sys.stderr.isatty():
        click.echo("\r\033[K", nl=False, err=True)
    for name, why in made.missing.items():
        click.echo(f"missing: {name}: {why.splitlines()[0]}")
    click.echo(f"{made.path}: {made.files} files, {format_size(made.size)}; readable for this user only")
    click.echo(f"Look into it before you send it: tar -xaf {made.path}")


def _progress() -> Callable[[str], None]:
    """What is being collected, in one line on stderr where that is a terminal."""
    if not sys.stderr.isatty():
        return lambda _: None
    return lambda text: click.echo(f"\r\033[K{text}\r", nl=False, err=True)
