"""Starts a unit for a person and shows on the terminal how far it is, until it has ended."""

from __future__ import annotations

import sys

import click

from wbagent.backup.progress import Progress
from wbagent.cli.progress import progress_reporter
from wbagent.systemd.jobs import JobResult, run_unit


def follow_unit(unit: str, what: str) -> JobResult:
    """Start `unit` and show its status lines, as a bar on a terminal; `what` goes on when the person lets go of it.

    Raises BusError, AccessError, and KeyboardInterrupt after saying how to stop it.
    """
    terminal = sys.stderr.isatty()
    with progress_reporter() as report:

        def show_status(line: str) -> None:
            progress = Progress.parse(line)
            if terminal and progress:
                report(progress)
            elif not terminal:
                click.echo(line, err=True)

        try:
            return run_unit(unit, show_status)
        except KeyboardInterrupt:
            click.echo(f"the {what} goes on without this command; to stop it: systemctl stop {unit}", err=True)
            raise
