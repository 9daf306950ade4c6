"""What `wbagent server pause` and `resume` do: they write the pause that the runner and the agent read."""

from __future__ import annotations

import getpass
import os
import time
from dataclasses import replace

import click

from wbagent.errors import AccessError, UsageError
from wbagent.moment import Moment
from wbagent.quantities import format_duration, parse_duration
from wbagent.server.pause import LONGEST_S, Pause, current, pause_path, read, write


def begin(why: str, length: str) -> None:
    """Begin a pause, or replace the one that lasts. Raises UsageError, AccessError."""
    try:
        seconds = parse_duration(length)
    except ValueError as error:
        raise UsageError(f"--for {length}: {error}") from None
    if seconds > LONGEST_S:
        raise UsageError(f"--for {length}: a pause lasts {format_duration(LONGEST_S)} at most", hint="--for 2h")
    if not why.strip():
        raise UsageError("say why: others see it in the status", hint='wbagent server pause "disk is replaced"')
    by = os.environ.get("SUDO_USER") or getpass.getuser()
    if lasting := current(Moment.now()):
        click.echo(f"this replaces the pause of {lasting[0].by}, {format_duration(lasting[1])} more: {lasting[0].why}")
    _store(Pause(" ".join(why.split()), by, Moment.now(), seconds))
    until = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time.time() + seconds))
    click.echo(f"paused until {until}: failed probes restart nothing, the server raises no alerts")
    click.echo("systemd still starts a server that ends by itself; wbagent server resume ends the pause")


def end() -> None:
    """End the pause that lasts; says so when there is none. Raises AccessError."""
    try:
        pause = read()
    except PermissionError:
        raise _forbidden() from None
    if pause is None or pause.left(Moment.now()) is None:
        click.echo("no pause lasts")
        return
    _store(replace(pause, resumed=True))
    click.echo("the pause is over: the server is watched again")


def _store(pause: Pause) -> None:
    try:
        write(pause)
    except PermissionError:
        raise _forbidden() from None


def _forbidden() -> AccessError:
    return AccessError(
        f"{pause_path()} may not be written by this user", hint="run this as root, or as a member of group wbagent"
    )
