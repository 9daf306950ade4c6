"""Every way in which one secret may be written: as it is, escaped for a URL, JSON, HTML, systemd, in base64, hex."""

from __future__ import annotations

import base64
import json
import re
from html import escape
from typing import Final

# Shorter ones would be met by chance.
_SHORTEST_CODED: Final = 6
# A URL within a URL is escaped twice, a line of JSON within JSON too.
_PERCENT: Final = "%(?:25)*"
_BACKSLASHES: Final = r"\\+"
_URL_SAFE: Final = {"+": r"[+\-]", "/": "[/_]"}


def escaped(secret: str) -> re.Pattern[str]:
    """Finds the secret with each of its characters as it is or escaped in a way of its own."""
    return re.compile("".join(_character(each) for each in secret))


def coded(secret: str) -> tuple[re.Pattern[str], ...]:
    """Find the secret in base64 or hexadecimal, also within the coding of something longer.

    In base64 the characters at its edges depend on its neighbours: they are not part of what is found.
    """
    data, found = secret.encode(), []
    for before in range(3):
        text = base64.b64encode(b"\0" * before + data).decode()
        core = text[(before * 8 + 5) // 6 : (before + len(data)) * 8 // 6]
        if len(core) >= _SHORTEST_CODED:
            found.append(re.compile("".join(_URL_SAFE.get(each, each) for each in core)))
    if len(data) * 2 >= _SHORTEST_CODED:
        found.append(re.compile("".join(_hexadecimal(byte) for byte in data)))
    return tuple(found)


def _character(character: str) -> str:
    """All writings of one character. The first character of each is plain, which makes the search a quick one."""
    data = character.encode()
    ways = [re.escape(character), "".join(f"{_PERCENT}{_hexadecimal(byte)}" for byte in data)]
    if character == " ":
        ways.append(r"\+")
    if not (character.isascii() and character.isalnum()):
        # systemd's \x2b and JSON's \u002b; within another text the backslash itself is escaped.
        units = character.encode("utf-16-be")
        ways.append("".join(f"{_BACKSLASHES}x{_hexadecimal(byte)}" for byte in data))
        ways.append(
            "".join(
                f"{_BACKSLASHES}u{_hexadecimal(high)}{_hexadecimal(low)}"
                for high, low in zip(units[::2], units[1::2], strict=True)
            )
        )
        short = json.dumps(character, ensure_ascii=False)[1:-1].removeprefix("\\")
        ways.append(_BACKSLASHES + re.escape(short))
        ways += [re.escape(escape(character)), f"&#0*{ord(character)};", f"&#[xX]0*{_digits(f'{ord(character):x}')};"]
    return f"(?:{'|'.join(dict.fromkeys(ways))})"


def _hexadecimal(byte: int) -> str:
    return _digits(f"{byte:02x}")


def _digits(text: str) -> str:
    """Hexadecimal digits in upper and lower case."""
    return "".join(f"[{each}{each.upper()}]" if each.isalpha() else each for each in text)
