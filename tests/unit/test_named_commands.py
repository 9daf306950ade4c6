"""Every `wbagent …` command that a finding, a hint, an alert or a page names is one that can be typed."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
import pytest

from wbagent.cli.main import cli

ROOT: Final = Path(__file__).parents[2]
# What follows "wbagent" in a sentence about the program itself.
PROSE: Final = frozenset(
    {"answers", "cannot", "can", "did", "is", "made", "may", "of", "on", "or", "and", "are"}
    | {"restores", "sets", "shows", "use", "writes"}
)
# Where a command ends within a sentence or a line of a shell.
ENDS: Final = re.compile(r"[;#`\n)|]|&&|, | \(| {2,}|'$|'\]|: ")
# Not where it is a unit, a user or a group in another program's command.
NAMED: Final = re.compile(r"(?<![-\w./@])(?<!-[ugo] )wbagent (?!wandb-local|wbagent)((?:--)?[a-z].*)", re.DOTALL)


def _texts(path: Path) -> Iterator[tuple[int, str]]:
    """The texts of a module, its docstrings apart, with ARG for what is filled in."""
    tree = ast.parse(path.read_text())
    apart = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            apart |= {id(part) for part in node.values}
            parts = (str(part.value) if isinstance(part, ast.Constant) else "ARG" for part in node.values)
            yield node.lineno, "".join(parts)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in apart:
            yield node.lineno, node.value


def _spans(path: Path) -> Iterator[tuple[int, str]]:
    """What a page shows as code: between backticks, and in fenced blocks."""
    fenced = False
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif fenced:
            yield number, line
        else:
            yield from ((number, span) for span in re.findall(r"`([^`]+)`", line))


def _named(text: str) -> Iterator[str]:
    """The commands in a text, each from after "wbagent" to where it ends."""
    while found := NAMED.search(text):
        yield ENDS.split(found[1], maxsplit=1)[0].strip().rstrip(".,:\"'")
        text = found[1]


def problem(words: str) -> str:
    """Why this cannot be typed after "wbagent", or ""."""
    command: click.Command = cli
    tokens = words.split()
    if tokens[0] in PROSE:
        return ""
    while tokens and isinstance(command, click.Group) and not tokens[0].startswith("-"):
        name = tokens.pop(0).rstrip(".,:")
        inner = command.get_command(click.Context(command), name)
        if inner is None:
            return f"{command.name} has no command {name}"
        command = inner
    choices = [each.type.choices for each in command.params if isinstance(each.type, click.Choice) and each.nargs < 0]
    if tokens and choices and re.fullmatch("[a-z]+", tokens[0]) and tokens[0] not in (*choices[0], *PROSE):
        return f"{tokens[0]} is no choice of {command.name}"
    known = {name for each in command.params for name in (*each.opts, *each.secondary_opts)} | {"--help", "-h"}
    options = (token.strip("[].,:{}").partition("=")[0] for token in tokens)
    unknown = [each for each in options if re.fullmatch(r"--?[a-z][-a-z]*", each) and each not in known]
    return f"{command.name} has no option {unknown[0]}" if unknown else ""


def _wrong(place: Path, texts: Iterator[tuple[int, str]]) -> Iterator[str]:
    for line, text in texts:
        for words in _named(text):
            if why := problem(words):
                yield f"{place.relative_to(ROOT)}:{line}: wbagent {words}: {why}"


def test_commands_that_the_program_names() -> None:
    modules = sorted((ROOT / "wbagent").rglob("*.py"))
    assert [wrong for module in modules for wrong in _wrong(module, _texts(module))] == []


def test_commands_that_the_pages_name() -> None:
    pages = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
    assert [wrong for page in pages for wrong in _wrong(page, _spans(page))] == []


@pytest.mark.parametrize(
    "words", ["bakup run", "backup runn", "check buckets", "restore latest --onto DSN", "bucket create --polcy minio"]
)
def test_what_cannot_be_typed_is_found(words: str) -> None:
    assert problem(words)


@pytest.mark.parametrize("words", [["config", "template"], ["check", "host"], ["bucket", "check"], ["--help"]])
def test_output_that_cannot_be_written_is_a_sentence(words: list[str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "wbagent.cli.main", "--config", str(tmp_path / "none.toml"), *words]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 74, done.stderr
    assert re.search(r"cannot (be written|write): No space left on device$", done.stderr.strip())
    assert len(done.stderr.splitlines()) == 1, done.stderr


def test_where_a_command_ends() -> None:
    said = "mend it (wbagent backup list), then: wbagent check database; wbagent backup show latest   # the engine"
    assert list(_named(said)) == ["backup list", "check database", "backup show latest"]
