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
_PERCENT: Final = "%(?:25){0,3}"
_BACKSLASH: Final = rf"(?:\\|{_PERCENT}5c)"
_BACKSLASHES: Final = f"{_BACKSLASH}{{1,8}}+"
_PERHAPS: Final = f"{_BACKSLASH}{{0,8}}+"
_IN_A_URL: Final = {each: f"(?:{each}|{_PERCENT}{ord(each):x})" for each in "&#;"}
_URL_SAFE: Final = {"+": rf"(?:[+\-]|{_PERCENT}2[bB])", "/": f"(?:[/_]|{_PERCENT}2[fF])"}


def escaped(secret: str) -> re.Pattern[str]:
    """Finds the secret with each of its characters as it is or escaped in a way of its own, in any case.

    Names of hosts, where some services have their tokens, are put into small letters.
    """
    pattern, before = "", _BACKSLASHES
    for each in re.findall(r"\\+|[^\\]", secret):
        run = "\\" in each
        pattern += _backslashes(len(each)) if run else _character(each, before)
        # Those that escape what comes next stand in one run with them.
        before = _PERHAPS if run else _BACKSLASHES
    return re.compile(pattern, re.IGNORECASE)


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


def _backslashes(count: int) -> str:
    """So many, each of which each text within a text doubles. All that stand there are taken."""
    return f"(?:{_BACKSLASH}{{{count},{count * 8}}}+|(?:{_BACKSLASHES}(?:x5c|u005c)|&#0*92;){{{count}}})"


def _character(character: str, backslashes: str) -> str:
    """All writings of one character, of which some begin with `backslashes`."""
    data = character.encode()
    ways = [re.escape(character), "".join(f"{_PERCENT}{_hexadecimal(byte)}" for byte in data)]
    if character == " ":
        ways.append(rf"\+|{_PERCENT}2b")
    if not (character.isascii() and character.isalnum()):
        # systemd's \x2b and JSON's \u002b; within another text the backslash itself is escaped.
        units = character.encode("utf-16-be")
        ways.append("".join(f"{backslashes}x{_hexadecimal(byte)}" for byte in data))
        ways.append(
            "".join(
                f"{backslashes}u{_hexadecimal(high)}{_hexadecimal(low)}"
                for high, low in zip(units[::2], units[1::2], strict=True)
            )
        )
        short = json.dumps(character, ensure_ascii=False)[1:-1].removeprefix("\\")
        ways += [backslashes + re.escape(short), backslashes + ways[1]]
        names = [escape(character), f"&#0*{ord(character)};", f"&#x0*{_digits(f'{ord(character):x}')};"]
        ways += [_PERHAPS + "".join(_IN_A_URL.get(each, each) for each in name) for name in names if "&" in name]
    return f"(?:{'|'.join(dict.fromkeys(ways))})"


def _hexadecimal(byte: int) -> str:
    return _digits(f"{byte:02x}")


def _digits(text: str) -> str:
    """Hexadecimal digits in upper and lower case."""
    return "".join(f"[{each}{each.upper()}]" if each.isalpha() else each for each in text)
