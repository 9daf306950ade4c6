"""Which names a host may have: what no resolver takes is refused where it is written, not wherever it is asked for."""

from __future__ import annotations

from typing import Final

_LONGEST: Final = 253
_LONGEST_LABEL: Final = 63


def resolvable(name: str) -> bool:
    """Whether a resolver may be asked for it (RFC 1035, 2.3.4): Python raises UnicodeError for any other."""
    name = name.removesuffix(".")
    return len(name) <= _LONGEST and all(0 < len(label) <= _LONGEST_LABEL for label in name.split("."))
