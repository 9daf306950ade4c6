"""A proxy before an S3 store that speaks HTTP, so that a test can refuse, cut, slow down or watch single requests."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import unquote

from wbagent.config.dsn import S3URL

_ERROR = "<?xml version='1.0'?><Error><Code>{code}</Code><Message>as the test wants it</Message></Error>"
# Headers that are about one connection and not about the request (RFC 9110, 7.6.1); the body is passed on whole.
_OF_THE_CONNECTION = {"connection", "transfer-encoding", "keep-alive", "expect"}


@dataclass(frozen=True)
class Fault:
    """What happens to each request whose "METHOD path?query" (decoded) `matches`.

    `status` (403, 503) is answered instead of asking the store; `cut` resets the connection, before the store is asked
    or, with `after`, when it has done what was asked; `delay` is slept before the answer; `seen` is called first.
    """

    matches: Callable[[str], bool]
    status: int = 0
    cut: bool = False
    after: bool = False
    delay: float = 0.0
    seen: Callable[[], object] | None = None


class S3Faults:
    """Listens on a free port of loopback and passes every request on to the store of `url`."""

    def __init__(self, url: S3URL) -> None:
        self._url = url
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.target = (str(url.host), int(url.port or 80))
        self.fault: Fault | None = None
        self.requests: list[str] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> S3URL:
        """The store's connection string, through this proxy."""
        return replace(self._url, host="127.0.0.1", port=self._server.server_address[1])


def _handler(faults: S3Faults) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            request = f"{self.command} {unquote(self.path)}"
            faults.requests.append(request)
            fault = faults.fault if faults.fault and faults.fault.matches(request) else None
            if fault and not fault.after and self._hurt(fault):
                return
            answer = self._ask(body)
            if fault and fault.after and self._hurt(fault):
                return
            self._answer(*answer)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _handle  # noqa: N815 - http.server's names

        def _hurt(self, fault: Fault) -> bool:
            """Do the harm; whether this request is over."""
            if fault.seen:
                fault.seen()
            time.sleep(fault.delay)
            if fault.cut:
                with suppress(OSError):
                    self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
            elif fault.status:
                code = {403: "AccessDenied", 503: "SlowDown"}[fault.status]
                self._answer(fault.status, [("Content-Type", "application/xml")], _ERROR.format(code=code).encode())
            return fault.cut or bool(fault.status)

        def _ask(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
            store = http.client.HTTPConnection(*faults.target, timeout=60)
            # The signature covers the host's name as the client wrote it, so the headers go on as they came.
            store.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in _OF_THE_CONNECTION:
                    store.putheader(name, value)
            store.endheaders(body or None)
            answer = store.getresponse()
            content = answer.read()
            store.close()
            return answer.status, answer.getheaders(), content

        def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
            with suppress(OSError):
                self.send_response_only(status)
                length = next((value for name, value in headers if name.lower() == "content-length"), "")
                for name, value in headers:
                    if name.lower() not in _OF_THE_CONNECTION | {"content-length"}:
                        self.send_header(name, value)
                # The answer to HEAD has a length and no body.
                self.send_header("Content-Length", length if self.command == "HEAD" and length else str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Say nothing on stderr."""

    return Handler
