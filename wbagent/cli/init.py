"""`wbagent init`: from an installed package to a configured host, by questions or by options, all of it or nothing."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any, Final

import click

from wbagent.cli.confirming import yes_or_no
from wbagent.cli.context import config_path
from wbagent.cli.init_asking import ask_all
from wbagent.cli.init_given import Told, show_tried, try_given
from wbagent.config import load
from wbagent.config.credstore import sealed, seen_by, why_not_sealed
from wbagent.config.filling import filled
from wbagent.config.layers import KeyPath
from wbagent.config.loading import DEFAULT_PATH
from wbagent.config.template import template
from wbagent.errors import EX_UNAVAILABLE, AccessError, UsageError, WbagentError
from wbagent.setup.existing import ExistsError, existing
from wbagent.setup.plan import Plan, credential_name, option, plan
from wbagent.setup.questions import NAMED, QUESTIONS, Answers, Role
from wbagent.setup.steps import Step, steps
from wbagent.setup.trying import send_test
from wbagent.setup.writing import Places, finish, pending, write, write_apart

_STDIN: Final = "-"
_INTERRUPTED: Final = 130


class UnfitError(WbagentError):
    """Answers that were given without a terminal did not pass their tests."""

    exit_status = EX_UNAVAILABLE


def _answer_options(command: Any) -> Any:
    for question in reversed(QUESTIONS):
        if question.secret:
            made = click.option(
                f"--{question.name}-file",
                question.name,
                metavar="FILE",
                help=f"{question.asks}: a file that holds it, or - for standard input.",
            )
        else:
            kind = click.Choice([str(each) for each in question.choices]) if question.choices else None
            made = click.option(f"--{question.name}", question.name, type=kind, help=f"{question.asks}.")
        command = made(command)
    return command


@click.command()
@_answer_options
@click.option("--unattended", is_flag=True, help="Ask nothing, even on a terminal: what is not given is left out.")
@click.option("--keep", is_flag=True, help="Unattended: take answers that do not pass their tests, with a warning.")
@click.option("--make-buckets", is_flag=True, help="Unattended: make buckets that are missing, with the keys given.")
@click.option("--test-alert", is_flag=True, help="Unattended: send a test message to those who are told.")
@click.option(
    "--start/--no-start", default=None, help="Do what is to be done next without asking, or only say what it is."
)
@click.option(
    "--into", type=click.Path(path_type=Path), metavar="FILE", help="Write everything, secrets too, into this new file."
)
@click.pass_context
def init(ctx: click.Context, /, *, into: Path | None, start: bool | None, **options: Any) -> None:
    """Set this host up: ask what is needed, try each answer, write /etc/wbagent.toml and encrypted credentials.

    Nothing is written before all is known, and nothing that exists is overwritten. Without a terminal the options give
    the answers.
    """
    places = _places(ctx, into)
    if into is None and pending(places):
        finish(places)
        click.echo("an earlier run was interrupted while it wrote: what it had begun is complete now")
        _go_on(steps(_answers_of(places.configuration)), start=start, ask=_terminal(options))
        return
    kept = _existing(places, into)
    given = _given(options, kept) | kept
    ask = _terminal(options) and _STDIN not in [options[each.name] for each in QUESTIONS]
    try:
        told = ask_all(given, frozenset(kept)) if ask else _unattended(given, **options)
        answers = told.answers
        _refuse_unused(given, kept, answers)
        made = plan(answers)
    except (click.Abort, KeyboardInterrupt):
        click.echo("\nnothing was written", err=True)
        raise click.exceptions.Exit(_INTERRUPTED) from None
    if into is not None:
        write_apart(into, filled(template(), made.whole()))
        click.echo(f"written: {into}, for you alone, with the secrets in it")
        return
    _write(places, made, {NAMED[name].key for name in kept})
    files = [options[each.name] for each in QUESTIONS if each.secret and options[each.name] not in {None, _STDIN}]
    if files:
        click.echo(f"not needed any more: {shlex.join(dict.fromkeys(files))}")
    _go_on(steps(answers, told.missing), start=start, ask=ask)


def _terminal(options: dict[str, Any]) -> bool:
    return sys.stdin.isatty() and not options["unattended"]


def _places(ctx: click.Context, into: Path | None) -> Places:
    if into is None and config_path(ctx) != DEFAULT_PATH:
        raise UsageError(
            f"init configures this host, in {DEFAULT_PATH}", hint=f"wbagent init --into {config_path(ctx)}"
        )
    if into is None and os.geteuid() != 0:
        raise AccessError("only root can configure this host", hint="sudo wbagent init; or: wbagent init --into FILE")
    return Places(DEFAULT_PATH)


def _existing(places: Places, into: Path | None) -> dict[str, str]:
    """The answers that credentials of this host give already. Raises ExistsError where a file sets anything."""
    if into is None:
        found = existing(places.configuration)
        found.refuse()
        return found.answers()
    if into.exists():
        raise ExistsError(f"{into} exists, and stays as it is", hint="name a file that is not there yet")
    return {}


def _given(options: dict[str, Any], kept: Mapping[str, str]) -> dict[str, str]:
    """The answers on the command line; raises UsageError, and ExistsError for what a credential answers already."""
    given = {each.name: options[each.name] for each in QUESTIONS if options[each.name] is not None}
    if both := [credential_name(NAMED[name].key) for name in given if name in kept]:
        raise ExistsError(
            f"the credential {both[0]} is there already, and stays",
            hint="leave the option out, or remove the credential from /etc/credstore.encrypted or /etc/credstore first",
        )
    if list(given.values()).count(_STDIN) > 1:
        raise UsageError("standard input can give one answer only", hint="give the others in files")
    return {name: _secret(name, value) if NAMED[name].secret else value for name, value in given.items()}


def _secret(name: str, value: str) -> str:
    """What the file holds. Never repeats `value` where it is no path: it may be the secret itself."""
    if "://" in value:
        raise UsageError(
            f"--{name}-file wants the name of a file, not the secret itself: every user of this host can read a command"
            " line, and the shell keeps it",
            hint=f"change that password; then: --{name}-file FILE, or --{name}-file - for standard input",
        )
    try:
        text = sys.stdin.read() if value == _STDIN else Path(value).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"--{name}-file: what it holds is not UTF-8") from None
    except OSError as error:
        raise UsageError(f"--{name}-file: the file cannot be read: {error.strerror}") from None
    return text.strip()


def _refuse_unused(given: Mapping[str, str], kept: Mapping[str, str], answers: Answers) -> None:
    """A host of one kind has no use for what was given for another one; a credential of it would even be in the way."""
    for question in [NAMED[name] for name in given if not NAMED[name].applies(answers)]:
        if question.name in kept:
            name = credential_name(question.key)
            raise ExistsError(f"the credential {name} is there, and such a host has none", hint="remove it first")
        raise UsageError(
            f"{option(question)} is not for such a host", hint="leave it out, or name another kind of host"
        )


def _unattended(given: dict[str, str], *, keep: bool, make_buckets: bool, test_alert: bool, **_options: Any) -> Told:
    try:
        told = try_given(given, make_buckets=make_buckets)
    except ValueError as error:
        raise UsageError(str(error), hint="nothing was written; wbagent init --help") from None
    # Before the tests' verdict: what is missing is to be told as well.
    plan(told.answers)
    failed = [*told.failed]
    if test_alert and (to := told.answers.get("alerts")):
        tried = send_test(to)
        show_tried(tried)
        failed += ["alerts"] if tried.problem else []
    if failed and not keep:
        makes = "--make-buckets makes the bucket; else " if told.missing else ""
        raise UnfitError(
            f"nothing was written: {', '.join(dict.fromkeys(failed))} did not pass, as told above",
            hint=f"{makes}mend it and run this again; --keep takes it as it is",
        )
    return told


def _write(places: Places, made: Plan, kept: Set[KeyPath]) -> None:
    """Both the file and the credentials but for those that are `kept`; says where, and how the secrets are kept."""
    encrypted, plain = places.stores
    fresh = {key: secret for key, secret in made.secrets.items() if key not in kept}
    reason = why_not_sealed() if fresh else ""
    store = plain if reason else encrypted
    credentials, notes = {}, {}
    for key, secret in fresh.items():
        name = credential_name(key)
        credentials[name] = secret.encode() if reason else sealed(name, secret)
        notes[key] = f"{key[-1]} is set by the credential {name}; to see it: {seen_by(store / name)}"
    text = places.configuration.read_text("utf-8") if places.configuration.exists() else template()
    values = {key: value for key, value in made.values.items() if key not in kept}
    write(places, filled(text, values, notes), credentials, store)
    click.echo(f"written: {places.configuration}")
    if reason:
        click.echo(f"NOT encrypted, since {reason}:", err=True)
    for name in credentials:
        click.echo(f"written: {store / name}" + (", for root alone" if reason else ", encrypted"))


def _answers_of(path: Path) -> Answers:
    """As far as `steps` wants to know them, of a configuration that is there."""
    settings = load(path).settings
    if settings.server is None:
        return {"role": Role.DATABASE}
    bucket = str(settings.server.bucket) if settings.server.bucket else None
    return {"role": Role.SERVER, "image": settings.server.image, "bucket": bucket}


def _go_on(todo: tuple[Step, ...], *, start: bool | None, ask: bool) -> None:
    """Offer, or do, what is left to do. Ends the process with the status of what did not end well."""
    if start is False or (start is None and not ask):
        click.echo("next, in this order:")
        for step in todo:
            click.echo(f"  {_shown(step)}")
        return
    status = 0
    for number, step in enumerate(todo):
        rest = " && ".join(_shown(each) for each in todo[number:])
        try:
            ended = _do(step, ask=not start)
        except (click.Abort, KeyboardInterrupt):
            click.echo(f"\nthe configuration is written and stays; left to do: {rest}", err=True)
            raise click.exceptions.Exit(_INTERRUPTED) from None
        if ended and step.vital:
            raise UnfitError(
                f"{_shown(step)} ended with status {ended}; the configuration is written and stays",
                hint=f"mend what it says, then: {rest}",
            )
        status = status or ended
    if status:
        click.get_current_context().exit(status)


def _do(step: Step, *, ask: bool) -> int:
    """Its exit status; 0 when the person passes it over."""
    words = f"\n{step.asks}: {_shown(step)}"
    passed = "n passes it over" + (", and what comes after it needs it." if step.vital else ".")
    if not ask:
        click.echo(words)
    elif not yes_or_no(f"{words}?", f"y runs this command now; {passed} It can be typed at any time later."):
        return 0
    return subprocess.run(step.command, check=False).returncode


def _shown(step: Step) -> str:
    return step.shown or shlex.join(step.command)
