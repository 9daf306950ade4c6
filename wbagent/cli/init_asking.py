"""The dialogue of `wbagent init`: one line a question, on a terminal that may be slow; the decisions are setup's."""

from __future__ import annotations

from collections.abc import Mapping, Set
from getpass import getpass
from typing import Final

import click

from wbagent.cli.confirming import HELP, explain, yes_or_no
from wbagent.cli.init_given import Told, make_and_try, show_tried
from wbagent.errors import ConfigError
from wbagent.setup.parts import Parts
from wbagent.setup.plan import credential_name, shown
from wbagent.setup.questions import QUESTIONS, Answers, Question, needed, next_question, without_last
from wbagent.setup.trying import Tried, attempt, send_test

_BACK: Final = "back"
_SKIP: Final = "skip"
_HOW: Final = """\
Enter takes what stands in [ ]; ? explains, back goes to the question before. Ctrl-C ends it, and nothing is written.
Secrets are not shown while you type or paste them. In a connection string special characters are escaped; with the
answer "parts" you are asked for it part by part, and nothing is to be escaped.
"""
_PARTS: Final = "parts"
_PASSES_OVER: Final = " skip: go on without an answer, which can be added later."
_VERDICTS: Final = (
    "correct: give another answer to this question. keep: take this one with its problem, which is to be mended before"
    f" the server can work.{_PASSES_OVER} back: to the question before."
)
_WRITES: Final = (
    "yes: write what is shown above, secrets as credentials, and then offer what is to be done next. back: to the last"
    " question. no: end, and nothing is written."
)


class _GoBack(Exception):  # noqa: N818 - no error: the person wants the question before
    pass


def ask_all(given: Mapping[str, str], kept: Set[str]) -> Told:
    """An answer, tried, to every question that applies; those `given` are only tried, and asked when they do not pass.

    Those that are `kept` stand in credentials that are there, and stay as they are.

    click.Abort at Ctrl-C, at any moment.
    """
    click.echo(_HOW)
    answers: dict[str, str | None] = {}
    missing: dict[str, bool] = {}
    text: str | None
    # What is not taken is asked for instead.
    waiting = dict(given)
    while True:
        try:
            question = next_question(answers)
            if question is None:
                _confirm(answers)
                return Told(answers, missing=frozenset(name for name in missing if missing[name] and answers.get(name)))
            if question.name in kept:
                text, tried = _keep(question, answers, given[question.name])
            else:
                text, tried = _ask(question, answers, waiting.pop(question.name, None))
            answers[question.name], missing[question.name] = text, tried.missing
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


def _ask(question: Question, answers: Answers, given: str | None) -> tuple[str | None, Tried]:
    """One answer that passed its test, or that is kept anyway, and what came of it; None: passed over."""
    may_skip = not needed(question, answers)
    if given is not None:
        click.echo(f"{question.asks}: as given")
    while True:
        text, given = given if given is not None else _line(question, may_skip=may_skip), None
        if text == HELP:
            explain(question.explains)
            continue
        if text in {"", _SKIP}:
            if may_skip:
                return None, Tried()
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
        tried = _offer_to_make(question, read, answers, tried)
        match _verdict(tried, may_skip=may_skip):
            case "keep":
                return read, tried
            case "skip":
                return None, Tried()
            case _:
                continue


def _offer_to_make(question: Question, text: str, answers: Answers, tried: Tried) -> Tried:
    """Of a bucket that is not there: make it if the person wants that, and try again."""
    explains = "It is made now, in the region of the connection string, with its keys; nothing else is in it yet."
    if not tried.missing or not yes_or_no("  Make this bucket now, with these keys?", explains):
        return tried
    return make_and_try(question, text, answers)


def _keep(question: Question, answers: Answers, text: str) -> tuple[str, Tried]:
    """An answer that a credential gives, tried; click.Abort when it does not pass and the person does not go on."""
    click.echo(f"{question.asks}: the credential {credential_name(question.key)}, which stays as it is")
    try:
        read = question.read(text)
    except ValueError as error:
        raise ConfigError(f"credential {credential_name(question.key)}: {error}", hint="mend or remove it") from None
    click.echo(f"  {shown(question, read)}")
    tried = attempt(question, read, answers)
    show_tried(tried)
    tried = _offer_to_make(question, read, answers, tried)
    explains = "y: the credential is taken as it is, with the problem told above. n: nothing is written."
    if tried.problem and not yes_or_no("  Go on all the same?", explains, default=False):
        raise click.Abort
    return read, tried


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
        explain(_VERDICTS if may_skip else _VERDICTS.replace(_PASSES_OVER, ""))


def _test_message(text: str, tried: Tried) -> Tried:
    show_tried(tried)
    explains = "y: one short message goes to each of them, so that you see whether it comes. n: they are taken untried."
    return send_test(text) if yes_or_no("  Send a test message there now?", explains) else Tried()


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
        explain(_WRITES)
