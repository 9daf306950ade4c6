"""Imports a library as if something that it takes only where it is there were not installed: for what that costs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def absent(*names: str) -> Iterator[None]:
    """Within the block these modules cannot be imported, unless they are loaded already; after it they can."""
    kept = [name for name in names if name not in sys.modules]
    # What Python itself documents for it: None in sys.modules raises ModuleNotFoundError.
    sys.modules.update(dict.fromkeys(kept))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in kept:
            del sys.modules[name]
