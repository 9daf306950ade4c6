"""Pressure stall information: the share of time in which somebody waited for a resource (Linux' accounting/psi)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, Literal

_PROC: Final = Path("/proc/pressure")
_LINE: Final = re.compile(r"^(some|full) .*\bavg60=([0-9.]+)", re.MULTILINE)

Resource = Literal["cpu", "memory", "io"]


def parse(text: str) -> dict[str, float]:
    """Percent of the last minute, by "some" (at least one task waited) and "full" (none could work)."""
    return {kind: float(percent) for kind, percent in _LINE.findall(text)}


def waiting(resource: Resource, kind: Literal["some", "full"]) -> float | None:
    """Percent of the last minute; None where the kernel was built or booted without it."""
    try:
        return parse((_PROC / resource).read_text()).get(kind)
    except OSError:
        return None
