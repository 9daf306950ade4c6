"""Takes away again what checks make, when they end and when they are interrupted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from wbagent.errors import WbagentError


class Scratch:
    """What is to be removed. Used by several threads at a time.

    Invariant: whatever was made inside `removed` has had its `remove` called after it was made, once `clear` has
    returned and every check has ended.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._removes: list[Callable[[], None]] = []
        self._closed = False
        self.left: list[str] = []

    @property
    def closed(self) -> bool:
        """Whether all is over, so that nothing more is to be begun."""
        return self._closed

    @contextmanager
    def removed(self, remove: Callable[[], None]) -> Iterator[None]:
        """Have `remove` called when the block ends, or earlier when all is interrupted: it may be called twice.

        It must do nothing where there is nothing to remove. Enter before the thing is made. Raises WbagentError
        when the interruption has come already.
        """
        with self._lock:
            if self._closed:
                raise WbagentError("interrupted")
            self._removes.append(remove)
        try:
            yield
        finally:
            self._call(remove)
            with self._lock:
                self._removes.remove(remove)

    def clear(self) -> None:
        """Remove everything, and let nothing new be made."""
        with self._lock:
            self._closed = True
            removes = list(reversed(self._removes))
        for remove in removes:
            self._call(remove)

    def _call(self, remove: Callable[[], None]) -> None:
        try:
            remove()
        except (WbagentError, OSError) as error:
            # Told at the end: a check that found the store broken cannot remove its object from it either.
            self.left.append(str(error))
