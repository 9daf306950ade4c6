"""What people are told, in their language: texts/LANGUAGE.toml holds the words, the code only facts."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

LANGUAGES: Final = ("en", "ja")
_TEXTS: Final = Path(__file__).with_name("texts")


def say(language: str, key: str, facts: Mapping[str, object] | None = None) -> str:
    """The text under `key` ("cpu.title") with its {placeholders} filled in; "" where a table has no such text.

    Texts that come from elsewhere (an error of MySQL, a unit's last words) are facts, and stay in their own language.
    Raises KeyError for a table that is not there or a fact that is missing.
    """
    table, _, part = key.rpartition(".")
    text = texts(language)[table].get(part, "")
    return text.format_map(facts or {}) if text else ""


@cache
def texts(language: str) -> Mapping[str, Mapping[str, str]]:
    """Every table of one language."""
    found: dict[str, Any] = tomllib.loads((_TEXTS / f"{language}.toml").read_text(encoding="utf-8"))
    return found
