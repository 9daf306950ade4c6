"""Durations and sizes as people write them ("5m", "2h 30min", "8G"), after systemd.time(7)."""

from __future__ import annotations

import re
from typing import Final

_SECONDS: Final = {
    "ms": 0.001, "msec": 0.001,
    "s": 1, "sec": 1, "second": 1, "seconds": 1,
    "m": 60, "min": 60, "minute": 60, "minutes": 60,
    "h": 3600, "hr": 3600, "hour": 3600, "hours": 3600,
    "d": 86400, "day": 86400, "days": 86400,
    "w": 604800, "week": 604800, "weeks": 604800,
}  # fmt: skip
_BYTES: Final = {suffix: 1024**power for power, suffix in enumerate(("", "K", "M", "G", "T", "P"))}
# Of any file or memory.
_TOO_LARGE: Final = 2.0**63

_DURATION_PART: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)")
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGTP]?)(?:iB|B)?", re.IGNORECASE)


def parse_duration(value: object) -> float:
    """Seconds from a number (seconds) or a text such as "90", "5m" or "2h 30min"; ValueError says what is wrong."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError('expected a duration such as "5m", "90s" or "2h 30min"')
    if isinstance(value, int | float):
        return _positive(float(value))
    text = value.strip().lower()
    position, total = 0, 0.0
    for part in _DURATION_PART.finditer(text):
        if text[position : part.start()].strip():
            break
        unit = part[2] or "s"
        if unit not in _SECONDS:
            raise ValueError(f'unknown unit "{unit}" in a duration; expected such as "5m", "90s" or "2h 30min"')
        total += float(part[1]) * _SECONDS[unit]
        position = part.end()
    if position == 0 or text[position:].strip():
        raise ValueError('expected a duration such as "5m", "90s" or "2h 30min"')
    return _positive(total)


def _positive(seconds: float) -> float:
    if not 0 < seconds < 10 * 365 * 86400:
        raise ValueError("expected a duration above zero and below ten years")
    return seconds


def parse_size(value: object) -> int:
    """Bytes from a number (bytes) or a text such as "8G"; suffixes are powers of 1024 as everywhere in systemd."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    size = float(match[1]) * _BYTES[match[2].upper()] if match else 0.0
    if not 1 <= size < _TOO_LARGE:
        raise ValueError('expected a size such as "512M" or "8G"')
    return int(size)


def format_duration(seconds: float) -> str:
    """The two largest units of a span, e.g. "2h 30min", "41s", "0.62s": short enough for a status line."""
    if seconds < 10:
        return f"{seconds:.2g}s" if seconds >= 0.01 else f"{seconds * 1000:.0f}ms"
    whole = round(seconds)
    parts = []
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, whole = divmod(whole, length)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2])


def format_size(size: float) -> str:
    """Bytes with a binary suffix and about three significant digits, e.g. "1.21G", "880M", "17B"."""
    power = 0
    while size >= 1024 and power < 5:
        size, power = size / 1024, power + 1
    digits = 0 if size >= 100 or power == 0 else 1 if size >= 10 else 2
    return f"{size:.{digits}f}{('B', 'K', 'M', 'G', 'T', 'P')[power]}"
