"""Writes values as TOML does: what tomllib reads from the text is the value again, whatever characters it holds."""

from __future__ import annotations

import json
from typing import Final

# JSON's strings, numbers, truth values and lists are TOML's too, but for this character that TOML wants escaped.
_NOT_AS_JSON: Final = {"\x7f": "\\u007f"}


def toml_text(value: object) -> str:
    """A text, number, truth value, or list of these. Raises ValueError for a text that is no Unicode (surrogates)."""
    text = json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False, allow_nan=False)
    for character, escape in _NOT_AS_JSON.items():
        text = text.replace(character, escape)
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("holds a character that is not Unicode")
    return text
