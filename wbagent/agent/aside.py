"""Calls what may block in threads of their own, which neither wait for each other nor keep the agent from ending."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def aside(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What the call gives, or raises.

    Not asyncio.to_thread(): at its end a loop waits for those threads, and systemd kills an agent that takes longer
    than its time to stop. They are few, too: what hangs would keep the others waiting.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def settle(found: Future[T]) -> None:
        if answer.cancelled():
            return
        if error := found.exception():
            answer.set_exception(error)
        else:
            answer.set_result(found.result())

    def work() -> None:
        found: Future[T] = Future()
        try:
            found.set_result(call(*args, **kwargs))
        except BaseException as error:  # raised where the call is awaited
            found.set_exception(error)
        # The loop may have ended meanwhile.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, found)

    threading.Thread(target=work, name=getattr(call, "__name__", "aside"), daemon=True).start()
    return await answer
