"""Calls what may block in threads of their own, which neither wait for each other nor keep the agent from ending."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from wbagent.in_thread import in_thread

P = ParamSpec("P")
T = TypeVar("T")


async def aside(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What the call gives, or raises.

    Not asyncio.to_thread(): at its end a loop waits for those threads, and systemd kills an agent that takes longer
    than its time to stop. They are few, too: what hangs would keep the others waiting.
    """
    return await asyncio.wrap_future(in_thread(call, *args, **kwargs))
