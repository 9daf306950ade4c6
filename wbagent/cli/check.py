"""`wbagent check`: runs the checks of each area side by side and shows what was found, and what mends it."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from wbagent.checks.areas import AREAS, checks_of
from wbagent.checks.check import Check, Result, Subject, Verdict
from wbagent.checks.run import Progress, exit_status, run
from wbagent.checks.scratch import Scratch
from wbagent.cli.context import load_settings

if TYPE_CHECKING:
    from rich.console import Console


@click.command()
@click.argument("area", nargs=-1, type=click.Choice(list(AREAS)))
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_context
def check(ctx: click.Context, area: Sequence[str], as_json: bool) -> None:
    """Measure what W&B's guide asks for, in each AREA or in all, and say what mends what is not so.

    Nothing is changed; what a check makes (a test object, a scratch file) it removes. Exit status 0: all is well;
    1: there are warnings; 2: something fails.
    """
    settings = load_settings(ctx)
    chosen = {name: checks_of(name, settings) for name in AREAS if not area or name in area}
    carry_out(ctx, lambda _: chosen, Subject(settings, Scratch()), as_json=as_json)


def carry_out(
    ctx: click.Context,
    chosen: Callable[[Progress], Mapping[str, Sequence[Check]]],
    subject: Subject,
    *,
    as_json: bool,
) -> None:
    """Run what `chosen` gives (it may tell Progress of its own steps), show the results, exit with their status."""
    with _interruptible(), _progress() as progress:
        results = run(chosen(progress), subject, progress)
    for left in subject.scratch.left:
        click.echo(f"warning: not removed: {left}", err=True)
    if as_json:
        click.echo(json.dumps(_document(results), indent=2, ensure_ascii=False))
    else:
        show(results)
    ctx.exit(exit_status(results))


def show(results: Sequence[Result]) -> None:
    """Print the results: a line each, with what mends it below what is not well; then how many of each there are."""
    from rich.console import Console  # noqa: PLC0415 - 50 ms, which --json need not wait for

    console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
    told: set[str] = set()
    for area in dict.fromkeys(result.area for result in results):
        console.print(f"[bold]{area}[/bold]")
        for result in results:
            if result.area == area:
                _show_one(console, result, told)
    counts = {verdict: sum(result.finding.verdict is verdict for result in results) for verdict in Verdict}
    words = {"pass": "passed", "note": "to note", "warn": "to warn of", "fail": "failed"}
    console.print("\n" + ", ".join(f"{count} {words[verdict]}" for verdict, count in counts.items()))


def _show_one(console: Console, result: Result, told: set[str]) -> None:
    from rich.padding import Padding  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415

    finding = result.finding
    colour = {"pass": "green", "note": "cyan", "warn": "yellow", "fail": "bold red"}[finding.verdict]
    name = f"{result.check}: {finding.about}" if finding.about else result.check
    console.print(
        Padding(Text.assemble((f"{finding.verdict.value:<5}", colour), f" {name}: {finding.found}"), (0, 0, 0, 2))
    )
    if finding.verdict is Verdict.PASS:
        return
    section = f" ({result.section})" if result.section else ""
    why = f"{result.why}{section}" if result.why not in told else ""
    told.add(result.why)
    for word, text in (("needed", finding.needed), ("why", why), ("try", finding.remedy)):
        for number, line in enumerate(text.splitlines() if text else ()):
            console.print(Padding(Text(f"{word + ':' if not number else '':<7} {line}"), (0, 0, 0, 8)))


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
def _interruptible() -> Iterator[None]:
    """SIGTERM and SIGHUP end the checks as Ctrl-C does: what they made is removed first."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _progress() -> Iterator[Progress]:
    """What runs now, in one line on stderr where that is a terminal."""
    if not sys.stderr.isatty():
        yield Progress()
        return
    from rich.console import Console  # noqa: PLC0415 - as above

    with Console(stderr=True).status("") as line:

        def changed(running: Mapping[str, str]) -> None:
            line.update(" · ".join(f"{area}: {what}" for area, what in running.items()))

        yield Progress(changed)
