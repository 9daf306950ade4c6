"""A TCP port whose connections are never made: its packets are dropped, as a firewall drops them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tests.testbed.errors import BedError

# With a queue of 0 Linux takes one connection that nobody accepts, and drops what asks for a further one.
_MOST_TAKEN = 4
_DROPPED_S = 0.5


@contextmanager
def unreachable() -> Iterator[tuple[str, int]]:
    """Its address and port; BedError where this kernel goes on to take connections."""
    with ExitStack() as held:
        listener = held.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        place = listener.getsockname()
        for _ in range(_MOST_TAKEN):
            try:
                held.enter_context(socket.create_connection(place, _DROPPED_S))
            except TimeoutError:
                yield place[0], place[1]
                return
        raise BedError("a port with a full queue takes connections all the same")
