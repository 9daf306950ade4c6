"""Asks a person before something outside this host is changed."""

from __future__ import annotations

import sys
from typing import Final

import click

from wbagent.errors import UsageError

_INTERRUPTED: Final = 130


def confirm(*, yes: bool, to_see: str) -> None:
    """Go on only when a person says so, or said so before; `to_see` is the option that only shows what would be done.

    Raises UsageError where nobody can be asked, click's Exit and Abort where the answer is no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(
            "nothing was done: nobody is there to be asked", hint=f"add --yes, or {to_see} to see what it is"
        )
    if not click.confirm("Do this?"):
        click.echo("nothing was done")
        raise click.exceptions.Exit(_INTERRUPTED)
