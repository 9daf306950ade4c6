"""An HTTP proxy before the store that makes chosen requests fail: refused, overloaded, cut, unanswered, answer lost."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import struct
import threading
from collections.abc import Iterable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final, Literal, Self

from tests.testbed.errors import BedError

Fault = Literal["403", "501", "503", "cut", "cut short", "stall", "lost answer"]
_RESET: Final = struct.pack("ii", 1, 0)
_CODES: Final = {"403": "AccessDenied", "501": "NotImplemented", "503": "SlowDown"}
_UNWANTED: Final = frozenset({"connection", "expect", "transfer-encoding", "keep-alive"})


class FaultyStore:
    """Passes every request on to `target` with its headers as they are, so that signatures stay right.

    With `certificate`, a file that holds a key and its certificate, clients have to speak TLS. As proxies that are set
    up wrongly, it can `drop` headers of requests (in lower case) and pass on another `host`.
    """

    def __init__(
        self,
        target: tuple[str, int],
        *,
        address: str = "127.0.0.1",
        certificate: Path | None = None,
        drop: Iterable[str] = (),
        host: str | None = None,
    ) -> None:
        self.drop, self.host = frozenset(drop), host
        self.target = target
        self._fault: Fault = "cut"
        self._left: dict[str, int] = {}
        self._change = threading.Condition()
        self.met: set[str] = set()
        self.released = threading.Event()
        self._server = _Server(self, address)
        self.address, self.port = address, int(self._server.server_address[1])
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            # Not while accepting: one client that says nothing would keep all others out.
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="faulty-store", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    def fail(self, patterns: Iterable[str], fault: Fault, times: int = 1_000_000) -> None:
        """Let the next `times` requests of each kind fail; a pattern finds them by "METHOD /path?query".

        What was asked before is forgotten; `met` holds the patterns that found one.
        """
        with self._change:
            self._fault, self._left, self.met = fault, dict.fromkeys(patterns, times), set()

    def pass_on(self) -> None:
        """Let everything through again."""
        self.fail((), "cut")

    def fault_for(self, request: str) -> Fault | None:
        """What is to happen to this request."""
        with self._change:
            found = next((pattern for pattern in self._left if re.search(pattern, request)), None)
            if found is None or not self._left[found]:
                return None
            self._left[found] -= 1
            self.met.add(found)
            self._change.notify_all()
            return self._fault

    def wait_until_met(self, pattern: str) -> None:
        """Return when a request of this kind came to its fault; BedError after a minute."""
        with self._change:
            if not self._change.wait_for(lambda: pattern in self.met, 60):
                raise BedError(f"no request like {pattern} within a minute")


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, store: FaultyStore, address: str) -> None:
        self.store = store
        super().__init__((address, 0), _Handler)

    def handle_error(self, *_: object) -> None:
        pass  # Clients that give up are what the tests are about.


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _handle(self) -> None:
        body = self._body()
        fault = self.server.store.fault_for(f"{self.command} {self.path}")
        if fault == "stall":
            self.server.store.released.wait()
        if fault in {"cut", "stall"}:
            self._reset()
        elif fault in _CODES:
            text = f"<Error><Code>{_CODES[fault]}</Code><Message>injected</Message></Error>".encode()
            self._answer(int(fault), [("Content-Type", "application/xml")], text)
        else:
            self._pass_on(body, fault)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_OPTIONS = _handle  # noqa: N815 - http.server looks for these names

    def _body(self) -> bytes:
        """In whichever way it comes: over TLS boto3 does not say how long it will be."""
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(chunks)

    def _pass_on(self, body: bytes, fault: Fault | None) -> None:
        connection = http.client.HTTPConnection(*self.server.store.target)
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in _UNWANTED | self.server.store.drop:
                renamed = name.lower() == "host" and self.server.store.host
                connection.putheader(name, renamed or value)
        if body and "Content-Length" not in self.headers:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        if fault != "lost answer":
            self._answer(answer.status, answer.getheaders(), data, len(data) // 2 if fault == "cut short" else None)
        if fault:
            self._reset()

    def _answer(self, status: int, headers: list[tuple[str, str]], data: bytes, end: int | None = None) -> None:
        """Answer with the first `end` bytes of `data`."""
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in _UNWANTED and (name.lower() != "content-length" or self.command == "HEAD"):
                self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data[:end])

    def _reset(self) -> None:
        with suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass
