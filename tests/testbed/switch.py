"""A dead man's switch as Healthchecks is one: an HTTP server that keeps the pings it gets, in their order."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from tests.testbed.errors import BedError


@dataclass(frozen=True)
class Heard:
    """One ping: the path of its address and what was sent along."""

    path: str
    body: str


class Switch:
    """Takes every ping but those for a path with "gone" in it, which get a 404."""

    def __init__(self, *, address: str = "127.0.0.1") -> None:
        self._news = threading.Condition()
        self._heard: list[Heard] = []
        self._server = ThreadingHTTPServer((address, 0), self._handler())
        self._server.daemon_threads = True
        self.address, self.port = address, int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="switch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def heard(self) -> list[Heard]:
        """All pings so far."""
        with self._news:
            return list(self._heard)

    def url(self, path: str) -> str:
        """The address whose pings have this path."""
        return f"http://{self.address}:{self.port}/{path}"

    def wait_for(self, condition: Callable[[Heard], bool], *, timeout: float) -> Heard:
        """The first ping that meets the condition, whether it has come or comes yet."""
        with self._news:
            if not self._news.wait_for(lambda: any(map(condition, self._heard)), timeout):
                raise BedError(f"no such ping within {timeout} s; there were: {self._heard}")
            return next(filter(condition, self._heard))

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        def take(heard: Heard) -> None:
            with self._news:
                self._heard.append(heard)
                self._news.notify_all()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                take(Heard(self.path, self.rfile.read(int(self.headers["Content-Length"])).decode()))
                self.send_response(404 if "gone" in self.path else 200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        return Handler
