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
    if known is not None and now - known[0] < _FOR_S:
        return known[1]
    context = ssl.create_default_context()
    for file in files:
        context.load_verify_locations(file)
    _read[files] = (now, context)
    return context


def forget() -> None:
    """Read them anew when they are asked for next: something was refused that may be trusted by now."""
    _read.clear()
