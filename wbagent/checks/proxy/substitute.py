"""Answers at the server's port in its place, for the seconds of a check, while the server is stopped or not there yet.

So all that a load balancer does can be seen before the first start: it can be told to stream, and to wait. Nobody but
a check is served: others get 503. /healthz and /ready are answered well, since load balancers ask them first, but not
to this product's own probes: to the agent and to other checks the server is what it is, stopped.
"""

from __future__ import annotations

import base64
import hashlib
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from wbagent.checks.proxy.head import Head, Witness

STREAM: Final = "/wbagent/stream"
SLOW: Final = "/wbagent/slow"
_PROBE: Final = "wbagent"  # the User-Agent of wbagent/server/probe.py and wbagent/monitor/outside.py
_HEALTH: Final = ("/healthz", "/ready")
# As long as a load balancer that passes on at once may take for a few bytes, with room for a slow network.
_AT_ONCE_S: Final = 2.0
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
_CHUNK: Final = 65536


class Substitute(Witness):
    """Listens at an address from `open` to `close`, either of which may come alone or twice."""

    def __init__(self, address: str, port: int) -> None:
        super().__init__()
        self._place = (address, port)
        self._server: _Server | None = None
        self._over = threading.Event()
        self._first_read = threading.Event()
        self._patience = 0.0

    def open(self) -> None:
        """Take the port; raises OSError when it is taken."""
        self._server = _Server(self._place, self._handler())
        threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True).start()

    def wait_before_answering(self, seconds: float) -> None:
        """How long SLOW keeps silent."""
        self._patience = seconds

    def first_was_read(self) -> None:
        """The caller of STREAM has the first piece: the second one may follow."""
        self._first_read.set()

    def close(self) -> None:
        """Let go of the port."""
        self._over.set()
        server, self._server = self._server, None
        if server:
            server.shutdown()
            server.server_close()

    def stream(self, write: Callable[[bytes], object]) -> None:
        """Two pieces, the second of which says whether the first had been read by then."""
        self._first_read.clear()
        write(b"6\r\nfirst\n\r\n")
        at_once = self._first_read.wait(_AT_ONCE_S)
        write(b"8\r\nat once\n\r\n0\r\n\r\n" if at_once else b"5\r\nlate\n\r\n0\r\n\r\n")

    def slow(self) -> None:
        """Keep silent."""
        self._over.wait(self._patience)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        owner = self

        class Handler(_Handler):
            substitute = owner

        return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, place: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in place[0] else socket.AF_INET
        super().__init__(place, handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A caller that goes away is what some checks are about."""


class _Handler(BaseHTTPRequestHandler):
    substitute: Substitute
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "wbagent", ""

    def do_GET(self) -> None:
        own = self._noted()
        if self.headers.get("Upgrade") and own:
            self._switch()
        elif self.path == STREAM and own:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.substitute.stream(self.wfile.write)
        elif self.path == SLOW and own:
            self.substitute.slow()
            self._say(200, b"ok\n")
        else:
            well = self.path in _HEALTH and self.headers.get("User-Agent") != _PROBE
            self._say(200 if well else 503, b"the server is stopped; this is wbagent check\n")

    def do_POST(self) -> None:
        own = self._noted()
        left = int(self.headers.get("Content-Length") or 0)
        while left > 0 and own:
            got = len(self.rfile.read(min(left, _CHUNK)))
            if not got:
                return
            left -= got
        self._say(200 if own else 503, b"ok\n")

    def do_HEAD(self) -> None:
        # Nobody is served by these: load balancers use them to ask whether a server is there.
        self._say(200, b"")

    def do_OPTIONS(self) -> None:
        self._say(200, b"")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's signature
        """Say nothing."""

    def _noted(self) -> bool:
        fields = tuple((name.lower(), value) for name, value in self.headers.items())
        head = Head(self.requestline, fields, self.client_address[0])
        if head.token:
            self.substitute.note(head)
        return bool(head.token)

    def _say(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        with suppress(OSError):
            self.wfile.write(body)

    def _switch(self) -> None:
        """Take the websocket, and close it."""
        key = self.headers.get("Sec-WebSocket-Key", "").encode()
        accept = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest()).decode()
        self.send_response(101)
        for name, value in {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": accept}.items():
            self.send_header(name, value)
        self.end_headers()
        self.close_connection = True
