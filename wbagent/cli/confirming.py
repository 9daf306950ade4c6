"""Asks a person yes or no, as before something outside this host is changed."""

from __future__ import annotations

import sys
from typing import Final

import click

from wbagent.errors import UsageError

# What explains the question, at any of them.
HELP: Final = "?"
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


def yes_or_no(text: str, explains: str, *, default: bool = True) -> bool:
    """Yes or no, or what the question is about. click.Abort at Ctrl-C."""
    while True:
        said = click.prompt(f"{text} [{'Y/n' if default else 'y/N'}]", default="", show_default=False).strip().lower()
        if not said:
            return default
        if said in {"y", "yes", "n", "no"}:
            return said.startswith("y")
        explain(explains if said == HELP else "y: yes; n: no; ? explains")


def explain(text: str) -> None:
    """Indented, below the question."""
    click.echo(click.wrap_text(text, 100, "  ", "  ", preserve_paragraphs=True))
