"""`wbagent check`: runs the checks of each area side by side and shows what was found, and what mends it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import Any

import click
from click.core import ParameterSource

from wbagent.checks.areas import AREAS
from wbagent.checks.check import Check, Result, Subject
from wbagent.checks.configured import checks_by_area, read
from wbagent.checks.run import Progress, exit_status, run
from wbagent.checks.scratch import Scratch
from wbagent.cli.check_shown import show
from wbagent.cli.context import config_path
from wbagent.cli.ending import Interrupted, interruptible


@click.command()
@click.argument("area", nargs=-1, type=click.Choice(list(AREAS)))
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_context
def check(ctx: click.Context, area: Sequence[str], as_json: bool) -> None:
    """Measure what W&B's guide asks for, in each AREA or in all, and say what mends what is not so.

    Nothing is changed; what a check makes (a test object, a scratch file) it removes. Exit status 0: all is well;
    1: there are warnings; 2: something fails; 130, 143: interrupted.
    """
    # A file that somebody named has to be there; /etc/wbagent.toml may be still to be written.
    named = ctx.find_root().get_parameter_source("config") is ParameterSource.COMMANDLINE
    configured = read(config_path(ctx), may_be_absent=not named)
    chosen = checks_by_area([name for name in AREAS if not area or name in area], configured)
    carry_out(ctx, lambda _: chosen, Subject(configured.settings, Scratch()), as_json=as_json)


def carry_out(
    ctx: click.Context,
    chosen: Callable[[Progress], Mapping[str, Sequence[Check]]],
    subject: Subject,
    *,
    as_json: bool,
) -> None:
    """Run what `chosen` gives (it may tell Progress of its own steps), show the results, exit with their status."""
    scratch = subject.scratch
    try:
        with interruptible(), _progress() as progress:
            results = run(chosen(progress), subject, progress)
    except Interrupted as ended:
        # The terminal may be what has gone.
        with suppress(OSError):
            click.echo("interrupted" if scratch.left else "interrupted; what checks had made is removed", err=True)
            _tell_left(scratch)
        ctx.exit(128 + ended.number)
    _tell_left(scratch)
    try:
        if as_json:
            click.echo(json.dumps(_document(results), indent=2, ensure_ascii=False))
        else:
            show(results)
    except (BrokenPipeError, SystemExit):
        # `| head`: the reader has left with all that it wanted. Of the first rich makes the second, with a status that
        # would mean warnings.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    ctx.exit(exit_status(results))


def _tell_left(scratch: Scratch) -> None:
    for left in dict.fromkeys(scratch.left):
        click.echo(f"warning: not removed: {left}", err=True)


def _document(results: Sequence[Result]) -> dict[str, Any]:
    return {
        "status": exit_status(results),
        "results": [
            {"area": result.area, "check": result.check, **asdict(result.finding), "why": result.why}
            | {"section": result.section, "took_s": round(result.took_s, 3)}
            for result in results
        ],
    }


@contextmanager
def _progress() -> Iterator[Progress]:
    """What runs now, in one line on stderr where that is a terminal."""
    if not sys.stderr.isatty():
        yield Progress()
        return
    from rich.console import Console  # noqa: PLC0415 - 50 ms, which a program that reads the results need not wait for
    from rich.text import Text  # noqa: PLC0415 - as above

    # Seldom enough for a slow line.
    with Console(stderr=True).status(Text(), refresh_per_second=4) as line:

        def changed(running: Mapping[str, str]) -> None:
            now = " · ".join(f"{area}: {what}" for area, what in running.items())
            line.update(Text(now, no_wrap=True, overflow="ellipsis"))

        yield Progress(changed)
