"""`wbagent alerts silence`, `unsilence` and `history`: what is not told for a while, and what was told."""

from __future__ import annotations

import getpass
import json
import os
import time
from datetime import datetime

import click

from wbagent.alerts import history as spans
from wbagent.alerts import silences, states
from wbagent.alerts.silences import Silence
from wbagent.errors import UsageError
from wbagent.moment import Moment
from wbagent.quantities import format_duration, parse_duration
from wbagent.state import State

# Who forgets to end a silence hears again the next week at the latest.
_LONGEST_S = 7 * 86400.0


@click.command()
@click.argument("alert")
@click.option("--for", "duration", required=True, metavar="DURATION", help='How long, such as "2h"; at most 7 days.')
@click.option("--why", required=True, help="For those who wonder why it is quiet.")
def silence(alert: str, duration: str, why: str) -> None:
    """Tell nobody of ALERT for a while: a name from `wbagent alerts list`, or a pattern such as "disk-*".

    What begins or is repeated meanwhile is told when the silence has ended, if it lasts; that something told before is
    over is told at once.
    """
    try:
        seconds = parse_duration(duration)
    except ValueError as error:
        raise UsageError(f'--for "{duration}": {error}') from None
    if seconds > _LONGEST_S:
        raise UsageError(
            f"--for {format_duration(seconds)} is too long: at most {format_duration(_LONGEST_S)}",
            hint="what is never to be told is switched off in the [monitor] section of /etc/wbagent.toml",
        )
    now = Moment.now()
    with State() as state:
        begun = silences.begin(state, alert, seconds, os.environ.get("SUDO_USER") or getpass.getuser(), why, now)
        covered = [found.title for found in states.stored(state) if begun.covers(found.fingerprint)]
    click.echo(f"{_line(begun, now)}; to end it: wbagent alerts unsilence {begun.id}")
    click.echo(f"of what is there now it covers: {'; '.join(covered) or 'nothing'}")


@click.command()
@click.argument("number", type=int)
def unsilence(number: int) -> None:
    """End silence NUMBER before its time."""
    with State() as state:
        ended = silences.end(state, number, Moment.now())
        left = silences.active(state, Moment.now())
    if ended is None:
        known = ", ".join(str(each.id) for each in left) or "none"
        raise UsageError(f"there is no silence {number}; those that last: {known}", hint="wbagent alerts list")
    click.echo(f'silence {number} of "{ended.pattern}" is ended')


@click.command()
@click.option("--days", type=click.IntRange(1, 366), default=30, show_default=True, help="How far back.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def history(days: int, as_json: bool) -> None:
    """Show what has fired, oldest first, told or not."""
    with State(read_only=True) as state:
        found = spans.spans(state, time.time() - days * 86400.0)
    if as_json:
        rows = [
            {"fingerprint": span.fingerprint, "title": span.title, "began": span.began, "ended": span.ended}
            for span in found
        ]
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    for span in found:
        lasted = format_duration((span.ended or time.time()) - span.began)
        how = f"for {lasted}" if span.ended is not None else f"fires, for {lasted}"
        began = f"{datetime.fromtimestamp(span.began).astimezone():%Y-%m-%d %H:%M}"
        click.echo(f"{began}  {how}: {span.title} ({span.fingerprint})")
    if not found:
        click.echo(f"nothing has fired within {days} days")


def silence_lines(state: State, now: Moment) -> list[str]:
    """A line for each silence that lasts."""
    return [_line(each, now) for each in silences.active(state, now)]


def _line(each: Silence, now: Moment) -> str:
    left = format_duration(each.left(now))
    return f'silence {each.id}: "{each.pattern}" is not told for {left}, by {each.by}: {each.why}'
