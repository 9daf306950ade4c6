"""A call in a thread of its own that nobody waits for at exit, however long it hangs; its outcome is a future."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def in_thread(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
    """Begin the call. A pool would be waited for at exit, and what hangs in it would keep the others waiting."""
    found: Future[T] = Future()
    # As a pool does: who waits no longer cancels nothing.
    found.set_running_or_notify_cancel()

    def work() -> None:
        try:
            found.set_result(call(*args, **kwargs))
        except BaseException as error:  # raised where the result is asked for
            found.set_exception(error)

    threading.Thread(target=work, name=getattr(call, "__name__", "call"), daemon=True).start()
    return found
