"""Answers of `wbagent init` that were given on the command line: read, tried, and what came of it shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import click

from wbagent.setup.missing_bucket import make_bucket
from wbagent.setup.plan import shown
from wbagent.setup.questions import NAMED, Answers, Question, next_question
from wbagent.setup.trying import Tried, attempt


@dataclass(frozen=True, slots=True)
class Told:
    """All answers; the names of those that did not pass, and of those whose bucket is still to be made."""

    answers: dict[str, str | None]
    failed: tuple[str, ...] = ()
    missing: frozenset[str] = frozenset()


def try_given(given: Mapping[str, str], *, make_buckets: bool) -> Told:
    """Without a terminal: read and try what was given, and make buckets that are missing where that is wanted.

    Raises ValueError with the name of the option for a text that cannot be read.
    """
    answers: dict[str, str | None] = {}
    failed, missing = [], []
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
            if not (tried.missing and make_buckets):
                show_tried(tried)
        if tried.missing and make_buckets:
            tried = make_and_try(question, read, answers)
        failed += [question.name] if tried.problem else []
        missing += [question.name] if tried.missing else []
    return Told(answers, tuple(failed), frozenset(missing))


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
