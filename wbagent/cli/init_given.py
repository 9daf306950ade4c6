"""Answers of `wbagent init` that were given on the command line: read, tried, and what came of it shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import click

from wbagent.setup.missing_bucket import make_bucket
from wbagent.setup.plan import shown
from wbagent.setup.questions import NAMED, Answers, Question, next_question
from wbagent.setup.trying import Tried, attempt, attempt_all


@dataclass(frozen=True, slots=True)
class Told:
    """All answers; the names of those that did not pass, and of those whose bucket is still to be made."""

    answers: dict[str, str | None]
    failed: tuple[str, ...] = ()
    missing: frozenset[str] = frozenset()


def try_given(given: Mapping[str, str], *, make_buckets: bool) -> Told:
    """Without a terminal: read what was given, try it side by side, make buckets that are missing where that is wanted.

    Raises ValueError with the name of the option for a text that cannot be read.
    """
    answers = _read(given)
    failed, missing, made = [], [], False
    for name, trying in attempt_all(answers).items():
        question, text, tried = NAMED[name], answers[name] or "", trying.result()
        if tried.missing and made:
            # The bucket that has just been made may be this one's too.
            tried = attempt(question, text, answers)
        makes = tried.missing and make_buckets
        if name in given:
            click.echo(f"{name}: {shown(question, text)}")
            if not makes:
                show_tried(tried)
        if makes:
            tried, made = make_and_try(question, text, answers), True
        failed += [name] if tried.problem else []
        missing += [name] if tried.missing else []
    return Told(answers, tuple(failed), frozenset(missing))


def _read(given: Mapping[str, str]) -> dict[str, str | None]:
    """The answer to every question that applies, None where none was given."""
    answers: dict[str, str | None] = {}
    while (question := next_question(answers)) is not None:
        text = given.get(question.name) or question.default
        try:
            answers[question.name] = question.read(text) if text else None
        except ValueError as error:
            raise ValueError(f"{question.name}: {error}") from None
    return answers


def make_and_try(question: Question, text: str, answers: Answers) -> Tried:
    """Make the bucket that an answer names, and try the answer again; both are shown."""
    made = make_bucket(text)
    show_tried(made)
    if made.problem:
        return made
    tried = attempt(question, text, answers)
    show_tried(tried)
    return tried


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
