"""`wbagent report`: one page about this host, to look at in a browser."""

from __future__ import annotations

import os
import secrets
import time
from contextlib import suppress
from pathlib import Path

import click

from wbagent.cli.context import load_settings
from wbagent.durable import new_file
from wbagent.errors import UsageError
from wbagent.state import State


@click.command()
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The HTML file to write.")
@click.option("--days", type=click.IntRange(1, 366), default=30, show_default=True, help="How far back.")
@click.pass_context
def report(ctx: click.Context, output: Path, days: int) -> None:
    """Write one page about this host: processors, outages, backups, disks and alerts, without links to elsewhere.

    It asks the bucket for the backups; everything else is in the state directory.
    """
    from wbagent.report.gather import gather  # noqa: PLC0415 - the page's engine and boto3 are for this command alone
    from wbagent.report.page import page  # noqa: PLC0415 - as above

    if not output.name:
        raise UsageError(f"-o names no file: {output}", hint="-o report.html")
    settings = load_settings(ctx)
    now = time.time()
    with State(read_only=True) as state:
        text = page(gather(settings, state, now - days * 86400.0, now))
    # In a directory of everybody's, nobody may have put a link there.
    fresh = output.with_name(f".{output.name}.{secrets.token_hex(4)}")
    try:
        with new_file(fresh, 0o644) as file:
            file.write(text.encode())
        fresh.replace(output)
    except OSError as error:
        raise UsageError(
            f"the report cannot be written to {output}: {error.strerror}", hint="name another -o"
        ) from None
    finally:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
    click.echo(f"{output}: {days} days of {os.uname().nodename}, {len(text) // 1024} KiB")
