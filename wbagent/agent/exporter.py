"""Answers Prometheus: GET /metrics over HTTP on a loopback address or a Unix socket, within the agent's own loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import structlog

from wbagent.config.listen import Listen
from wbagent.errors import StateError

# A client that is slower or says more than this is no Prometheus (seconds, bytes, connections).
_PATIENCE_S: Final = 5.0
_LONGEST_REQUEST: Final = 8192
_MOST_CLIENTS: Final = 16

# The page and its content type, for an Accept header.
Page = Callable[[str], tuple[bytes, str]]


log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Request:
    """What is looked at of a request."""

    method: str
    path: str
    accept: str


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP response; `headers` beside those that every one has."""

    status: HTTPStatus
    body: bytes
    headers: Mapping[str, str]

    def head(self) -> bytes:
        """Status line and headers."""
        every = {"Content-Length": str(len(self.body)), "Connection": "close", "X-Content-Type-Options": "nosniff"}
        lines = [f"HTTP/1.1 {self.status.value} {self.status.phrase}"]
        lines += [f"{name}: {value}" for name, value in {**self.headers, **every}.items()]
        return "\r\n".join([*lines, "", ""]).encode()


def parse(head: bytes) -> Request | None:
    """A request's head up to its empty line; None when it is none of HTTP/1."""
    lines = head.decode("latin-1").split("\r\n")
    match lines[0].split(" "):
        case [method, target, "HTTP/1.1" | "HTTP/1.0"] if method.isalpha() and target.startswith("/"):
            fields = (line.partition(":") for line in lines[1:])
            accept = next((value.strip() for name, _, value in fields if name.strip().lower() == "accept"), "")
            return Request(method, target.partition("?")[0], accept)
    return None


def answer(request: Request | None, page: Page) -> Answer:
    """What a request gets. Whatever it holds, it is one complete answer, and only a good one has the page made."""
    if request is None:
        return _sentence(HTTPStatus.BAD_REQUEST, "this is no HTTP request")
    if request.method not in {"GET", "HEAD"}:
        return _sentence(HTTPStatus.METHOD_NOT_ALLOWED, "GET and HEAD only", {"Allow": "GET, HEAD"})
    if request.path != "/metrics":
        return _sentence(HTTPStatus.NOT_FOUND, "the metrics of wbagent are at /metrics")
    body, content_type = page(request.accept)
    return Answer(HTTPStatus.OK, body, {"Content-Type": content_type})


def _sentence(status: HTTPStatus, text: str, more: Mapping[str, str] | None = None) -> Answer:
    return Answer(status, f"{text}\n".encode(), {"Content-Type": "text/plain; charset=utf-8", **(more or {})})


class Exporter:
    """The listening socket. `page` is called in the loop, for each good request."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._server: asyncio.Server | None = None
        self._address: Listen | None = None
        self._clients = 0

    async def listen(self, address: Listen | None) -> None:
        """Listen there and nowhere else (None: nowhere); nothing changes where it does already. Raises StateError."""
        if address == self._address and (self._server is not None or address is None):
            return
        self.close()
        if address is None:
            return
        try:
            self._server = await self._open(address)
        except OSError as error:
            raise StateError(
                f"metrics cannot be had at {address}: {error.strerror or error}",
                hint="ss -lptn shows who listens there; [metrics] listen takes another address, or"
                " unix:/run/wbagent-metrics/NAME",
            ) from None
        self._address = address
        log.info(f"metrics are served at {address}")

    def close(self) -> None:
        """Stop listening; answers under way are finished."""
        if self._server is not None:
            self._server.close()
            if self._address is not None and self._address.path is not None:
                self._address.path.unlink(missing_ok=True)
        self._server = self._address = None

    async def _open(self, address: Listen) -> asyncio.Server:
        limit = _LONGEST_REQUEST
        if address.path is None:
            return await asyncio.start_server(self._serve, address.host, address.port, limit=limit, reuse_address=True)
        server = await asyncio.start_unix_server(self._serve, address.path, limit=limit)
        # The directory decides who gets here; Prometheus, or the proxy before it, is another user.
        os.chmod(address.path, 0o666)  # noqa: PTH101, S103 - who gets here is meant to read, and nothing blocks
        return server

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients += 1
        try:
            if self._clients <= _MOST_CLIENTS:
                # One limit for all of it: a client that sends or reads a byte a second holds nothing up for long.
                async with asyncio.timeout(_PATIENCE_S):
                    await self._converse(reader, writer)
        except (TimeoutError, OSError, asyncio.CancelledError):
            # It has left or takes too long, or the agent ends: nobody to answer.
            writer.transport.abort()
        finally:
            self._clients -= 1
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        method = "GET"
        try:
            request = parse(await reader.readuntil(b"\r\n\r\n"))
            method = request.method if request else method
            given = answer(request, self._page)
        except asyncio.LimitOverrunError:
            given = _sentence(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"at most {_LONGEST_REQUEST} bytes")
        except asyncio.IncompleteReadError:
            return
        except StateError as error:
            given = _sentence(HTTPStatus.SERVICE_UNAVAILABLE, error.message)
        writer.write(given.head() + (given.body if method != "HEAD" else b""))
        with suppress(ConnectionError):
            await writer.drain()
            writer.write_eof()
            # Closing with something unread would reset the connection and may take the answer with it.
            while await reader.read(_LONGEST_REQUEST):
                pass
