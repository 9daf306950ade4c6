"""Fills values into the commented configuration: each takes the place of its commented line, and the comments stay."""

from __future__ import annotations

import copy
import re
import tomllib
from collections.abc import Mapping
from typing import Any, Final

from wbagent.config.layers import KeyPath
from wbagent.config.toml_text import toml_text
from wbagent.errors import ConfigError

_HEADER: Final = re.compile(r"#?\[(?P<section>[A-Za-z0-9_.-]+)\]\s*")


def filled(text: str, values: Mapping[KeyPath, object], notes: Mapping[KeyPath, str] | None = None) -> str:
    """The text with these values set, and with each note as a comment where its key stands, which stays unset.

    A key stands behind the header of its section, one or more names deep. Invariant: read as TOML, the result differs
    from `text` in these values and in nothing else. Raises ConfigError where that cannot be had.
    """
    # Not splitlines(), which knows ends of lines that TOML does not.
    lines = text.removesuffix("\n").split("\n") if text else []
    for key, note in (notes or {}).items():
        if f"# {note}" not in lines:
            _insert(lines, key, f"# {note}", instead=False)
    for key, value in values.items():
        _insert(lines, key, f"{key[-1]} = {toml_text(value)}", instead=True)
    made = "\n".join(lines) + "\n"
    if _read(made) != _merged(tomllib.loads(text), values):
        raise ConfigError(
            "the configuration file is written in a way that filling it in would be guesswork",
            hint="begin with a fresh one: wbagent config template",
        )
    return made


def _insert(lines: list[str], key: KeyPath, line: str, *, instead: bool) -> None:
    """Put the line where `key` is commented out, else at the head of its section, else into a new one at the end."""
    section = ".".join(key[:-1])
    start = next((n for n, each in enumerate(lines) if _section_of(each) == section), None)
    if start is None:
        lines += ["", f"[{section}]" if instead else f"# [{section}]", line]
        return
    if instead:
        lines[start] = lines[start].removeprefix("#")
    end = next((n for n in range(start + 1, len(lines)) if _section_of(lines[n])), len(lines))
    commented = re.compile(rf"#{re.escape(key[-1])}\s*=")
    place = next((n for n in range(start + 1, end) if commented.match(lines[n])), None)
    if place is not None and instead:
        lines[place] = line
    else:
        lines.insert(start + 1 if place is None else place, line)


def _section_of(line: str) -> str:
    found = _HEADER.fullmatch(line)
    return found["section"] if found else ""


def _read(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def _merged(tree: dict[str, Any], values: Mapping[KeyPath, object]) -> dict[str, Any]:
    merged = copy.deepcopy(tree)
    for key, value in values.items():
        table = merged
        for name in key[:-1]:
            table = table.setdefault(name, {})
        table[key[-1]] = list(value) if isinstance(value, tuple) else value
    return merged
