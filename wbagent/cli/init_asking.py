"""The dialogue of `wbagent init`: one line a question, on a terminal that may be slow; the decisions are setup's."""

from __future__ import annotations

from collections.abc import Mapping, Set
from getpass import getpass
from typing import Final

import click

from wbagent.errors import ConfigError
from wbagent.setup.parts import Parts
from wbagent.setup.plan import credential_name, shown
from wbagent.setup.questions import NAMED, QUESTIONS, Answers, Question, needed, next_question, without_last
from wbagent.setup.trying import Tried, attempt, send_test

_BACK: Final = "back"
_SKIP: Final = "skip"
_HELP: Final = "?"
_HOW: Final = """\
Enter takes what stands in [ ]; ? explains, back goes to the question before. Ctrl-C ends it, and nothing is written.
Secrets are not shown while you type or paste them. In a connection string special characters are escaped; with the
answer "parts" you are asked for it part by part, and nothing is to be escaped.
"""
_PARTS: Final = "parts"


class _GoBack(Exception):  # noqa: N818 - no error: the person wants the question before
    pass


def ask_all(given: Mapping[str, str], kept: Set[str]) -> dict[str, str | None]:
    """An answer, tried, to every question that applies; those `given` are only tried, and asked when they do not pass.

    Those that are `kept` stand in credentials that are there, and stay as they are.

    click.Abort at Ctrl-C, at any moment.
    """
    click.echo(_HOW)
    answers: dict[str, str | None] = {}
    # What is not taken is asked for instead.
    waiting = dict(given)
    while True:
        try:
            question = next_question(answers)
            if question is None:
                _confirm(answers)
                return answers
            if question.name in kept:
                answers[question.name] = _keep(question, answers, given[question.name])
            else:
                answers[question.name] = _ask(question, answers, waiting.pop(question.name, None))
        except _GoBack:
            before = without_last(answers, kept)
            if before == answers:
                click.echo("  this is the first question")
            answers = before


def show_answers(answers: Answers) -> None:
    """Every answer on a line, secrets masked."""
    asked = [each for each in QUESTIONS if each.name in answers and each.applies(answers)]
    width = max(len(each.name) for each in asked)
    for question in asked:
        text = answers[question.name]
        click.echo(f"  {question.name:<{width}}  {shown(question, text) if text else 'nothing'}")


def show_tried(tried: Tried) -> None:
    """What came of a test."""
    if tried.problem:
        click.echo(f"  PROBLEM: {tried.problem}")
        if tried.hint:
            click.echo(f"  try:     {tried.hint}")
    elif tried.said:
        click.echo(f"  good: {tried.said}")
    for remark in tried.remarks:
        click.echo(f"  note: {remark}")


def _ask(question: Question, answers: Answers, given: str | None) -> str | None:
    """One answer that passed its test, or that is kept anyway; None: passed over."""
    may_skip = not needed(question, answers)
    if given is not None:
        click.echo(f"{question.asks}: as given")
    while True:
        text, given = given if given is not None else _line(question, may_skip=may_skip), None
        if text == _HELP:
            click.echo(click.wrap_text(question.explains, 100, "  ", "  ", preserve_paragraphs=True))
            continue
        if text in {"", _SKIP}:
            if may_skip:
                return None
            click.echo("  there is no configuration without it; ? explains")
            continue
        try:
            read = question.read(_of_parts(question.parts) if question.parts and text == _PARTS else text)
        except ValueError as error:
            click.echo(f"  not taken: {error}")
            continue
        if question.secret or question.choices:
            click.echo(f"  {shown(question, read)}")
        if question.asks_others:
            click.echo("  trying it …")
        tried = attempt(question, read, answers)
        if question.name == "alerts" and not tried.problem:
            tried = _test_message(read, tried)
        show_tried(tried)
        match _verdict(tried, may_skip=may_skip):
            case "keep":
                return read
            case "skip":
                return None
            case _:
                continue


def _keep(question: Question, answers: Answers, text: str) -> str:
    """An answer that a credential gives, tried; click.Abort when it does not pass and the person does not go on."""
    click.echo(f"{question.asks}: the credential {credential_name(question.key)}, which stays as it is")
    try:
        read = question.read(text)
    except ValueError as error:
        raise ConfigError(f"credential {credential_name(question.key)}: {error}", hint="mend or remove it") from None
    click.echo(f"  {shown(question, read)}")
    tried = attempt(question, read, answers)
    show_tried(tried)
    if tried.problem and not click.confirm("  Go on all the same?", default=False):
        raise click.Abort
    return read


def _line(question: Question, *, may_skip: bool) -> str:
    """One line of the terminal. Raises _GoBack."""
    choices = f" ({', '.join(question.choices)})" if question.choices else f" (or {_PARTS})" if question.parts else ""
    shown_default = question.default or ("skip" if may_skip else "")
    label = f"{question.asks}{choices}" + (f" [{shown_default}]" if shown_default else "")
    if question.secret:
        text = _hidden(f"{label}: ").strip()
    else:
        text = click.prompt(label, default=question.default, show_default=False).strip()
    if text == _BACK:
        raise _GoBack
    return text


def _of_parts(parts: Parts) -> str:
    """The connection string out of one line a part. Raises ValueError, _GoBack."""
    given = {}
    for part in parts.asked:
        label = f"    {part.asks}" + (f" [{part.default}]" if part.default else "")
        text = ""
        while not text:
            text = (
                _hidden(f"{label}: ") if part.secret else click.prompt(label, part.default, show_default=False).strip()
            )
        # A password may be any word.
        if text == _BACK and not part.secret:
            raise _GoBack
        given[part.name] = text
    return parts.joined(given)


def _hidden(label: str) -> str:
    """Not by click.prompt, which shows the label before the echo is off: what is pasted at once would be seen."""
    try:
        return getpass(label)
    except EOFError:
        raise click.Abort from None


def _verdict(tried: Tried, *, may_skip: bool) -> str:
    """What becomes of an answer: "keep", "skip", "correct". Raises _GoBack."""
    if not tried.problem:
        return "keep"
    choices = ["correct", "keep", *([_SKIP] if may_skip else []), _BACK]
    while True:
        text = click.prompt(f"  {', '.join(choices)} [correct]", default="correct", show_default=False).strip().lower()
        found = [choice for choice in choices if text and choice.startswith(text)]
        if found == [_BACK]:
            raise _GoBack
        if len(found) == 1:
            return found[0]


def _test_message(text: str, tried: Tried) -> Tried:
    show_tried(tried)
    return send_test(text) if click.confirm("  Send a test message there now?", default=True) else Tried()


def _confirm(answers: Answers) -> None:
    """Raises _GoBack, or click.Abort."""
    click.echo("\nThat is all:")
    show_answers(answers)
    while True:
        text = click.prompt("Write this configuration (yes, back, no)", default="yes").strip().lower()
        if text and "yes".startswith(text):
            return
        if text and _BACK.startswith(text):
            raise _GoBack
        if text and "no".startswith(text):
            raise click.Abort


def try_given(given: Mapping[str, str]) -> tuple[dict[str, str | None], list[str]]:
    """Without a terminal: read and try what was given; the answers, and the names of those that did not pass.

    Raises ValueError with the name of the option for a text that cannot be read.
    """
    answers: dict[str, str | None] = {}
    failed = []
    while (question := next_question(answers)) is not None:
        text = given.get(question.name) or question.default
        if not text:
            answers[question.name] = None
            continue
        try:
            answers[question.name] = read = NAMED[question.name].read(text)
        except ValueError as error:
            raise ValueError(f"{question.name}: {error}") from None
        tried = attempt(question, read, answers)
        if question.name in given:
            click.echo(f"{question.name}: {shown(question, read)}")
            show_tried(tried)
        failed += [question.name] if tried.problem else []
    return answers, failed
