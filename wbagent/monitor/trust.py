"""Whose certificates this host trusts: read once an hour for all that ask, for each copy is 20 ms and 0.8 MB."""

from __future__ import annotations

import ssl
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

# So long it takes at most until an authority that the host came to trust is known.
_FOR_S: Final = 3600.0
_read: dict[tuple[Path, ...], tuple[float, ssl.SSLContext]] = {}


def trust(authorities: Sequence[Path] = ()) -> ssl.SSLContext:
    """The host's own authorities, and these (PEM). Raises OSError (of it ssl.SSLError) for a file that is no use."""
    files, now = tuple(authorities), time.monotonic()
    known = _read.get(files)
    if known is None or now - known[0] >= _FOR_S:
        known = _read[files] = (now, own_trust(files))
    return known[1]


def own_trust(authorities: Sequence[Path] = ()) -> ssl.SSLContext:
    """As `trust`, for a caller that changes it."""
    context = ssl.create_default_context()
    for file in authorities:
        context.load_verify_locations(file)
    return context


def forget() -> None:
    """Read them anew when they are asked for next: something was refused that may be trusted by now."""
    _read.clear()
