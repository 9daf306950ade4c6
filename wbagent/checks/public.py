"""The public address of the server, [server] host: connections to it, and what comes back for one request."""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from wbagent.errors import WbagentError
from wbagent.monitor.outside import failure, open_minded

_LONGEST: Final = 65536
_CHUNK: Final = 65536
# Who knows "Expect" answers at once: to go on, or that the announced body is too large.
_CONTINUE_WITHIN_S: Final = 1.0


class AwayError(WbagentError):
    """Nobody answers at the address, or not with HTTP; `connected`: but with TLS, where the address asks for it."""

    def __init__(self, message: str, *, hint: str = "", connected: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.connected = connected


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer; `headers` by their names in lower case, `body` at most its first 64 KB."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def said(self) -> str:
        """For people: the status and its meaning."""
        return f"{self.status} {http.client.responses.get(self.status, '')}".strip()


@dataclass(frozen=True, slots=True)
class Body:
    """A body to send: `first`, `count` times the letter "a", `last`."""

    first: bytes
    count: int
    last: bytes

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self.first) + self.count + len(self.last)

    def chunks(self) -> Iterator[bytes]:
        """In pieces, so that it is never in memory as a whole."""
        yield self.first
        piece = b"a" * _CHUNK
        for done in range(0, self.count, _CHUNK):
            yield piece[: self.count - done]
        yield self.last


@dataclass(frozen=True, slots=True)
class Upload:
    """What came of a request with a body of `size`: an answer, or how it was `cut`; both empty when time was up."""

    size: int
    sent: int
    answer: Answer | None = None
    cut: str = ""


@dataclass(frozen=True, slots=True)
class Public:
    """An address. Its certificate is not looked at: that is the area tls' business, and one trouble is told once."""

    url: str

    @property
    def host(self) -> str:
        """The name."""
        return urlsplit(self.url).hostname or ""

    @property
    def secure(self) -> bool:
        """Whether it is https."""
        return urlsplit(self.url).scheme == "https"

    @property
    def port(self) -> int:
        """The port, also where the address leaves it out."""
        return urlsplit(self.url).port or (443 if self.secure else 80)

    @property
    def named(self) -> str:
        """The Host header that browsers and clients send: with the port where it is not the usual one."""
        return self.host if self.port == (443 if self.secure else 80) else f"{self.host}:{self.port}"

    @contextmanager
    def connection(self, timeout: float) -> Iterator[socket.socket]:
        """A connection, over TLS where the address says so; raises AwayError, also for trouble within the block."""
        place = f"{self.host}:{self.port}"
        way: socket.socket | None = None
        connected = False
        try:
            way = socket.create_connection((self.host, self.port), timeout)
            if self.secure:
                way = open_minded().wrap_socket(way, server_hostname=self.host)
            connected = True
            yield way
        except (OSError, http.client.HTTPException) as error:
            said = failure(error, place, timeout, connected=way is not None)[1]
            raise AwayError(said, connected=connected) from None
        finally:
            if way:
                way.close()

    def get(self, path: str, headers: Mapping[str, str] | None = None, timeout: float = 10.0) -> Answer:
        """Ask for a path; raises AwayError when nobody answers."""
        with self.connection(timeout) as way:
            return ask(way, self.named, path, headers or {})

    def post(self, path: str, body: Body, headers: Mapping[str, str], seconds: float) -> Upload:
        """Send a body, for no longer than `seconds`; an answer that comes before all is sent ends it."""
        lines = {"Host": self.named, "Content-Length": str(body.size), "Expect": "100-continue", **headers}
        head = f"POST {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items()) + "\r\n"
        until = time.monotonic() + seconds
        with self.connection(seconds) as way:
            talk = _Talk(way)
            way.sendall(head.encode())
            talk.wait_for_continue()
            sent, cut = talk.send(body, until)
            answer, why = talk.answer(until)
        return Upload(body.size, sent, answer, "" if answer else cut or why)


class _Talk:
    """A request with a body, with an ear kept open for an answer that comes early."""

    def __init__(self, way: socket.socket) -> None:
        self._way = way
        self._heard = b""

    def wait_for_continue(self) -> None:
        self._way.settimeout(_CONTINUE_WITHIN_S)
        with suppress(OSError):
            self._heard = without_continue(self._way.recv(_CHUNK))

    def send(self, body: Body, until: float) -> tuple[int, str]:
        """How much was sent, and how it was cut."""
        sent = 0
        try:
            for chunk in body.chunks():
                if self._answered() or time.monotonic() > until:
                    break
                self._way.settimeout(max(until - time.monotonic(), 0.1))
                self._way.sendall(chunk)
                sent += len(chunk)
        except TimeoutError:
            pass
        except OSError as error:
            return sent, error.strerror or str(error)
        return sent, ""

    def answer(self, until: float) -> tuple[Answer | None, str]:
        """The answer, or how it was cut; neither when none came in time."""
        try:
            while b"\r\n\r\n" not in self._heard:
                self._way.settimeout(max(until - time.monotonic(), 0.1))
                got = self._way.recv(_CHUNK)
                if not got:
                    return None, "the connection was closed without an answer"
                self._heard = without_continue(self._heard + got)
        except TimeoutError:
            return None, ""
        except OSError as error:
            return None, error.strerror or str(error)
        return parse_answer(self._heard), ""

    def _answered(self) -> bool:
        # TLS makes a socket readable for messages of its own too, so only an attempt to read tells.
        self._way.settimeout(0)
        with suppress(BlockingIOError, ssl.SSLWantReadError):
            self._heard = without_continue(self._heard + self._way.recv(_CHUNK))
        return bool(self._heard)


def ask(way: socket.socket, named: str, path: str, headers: Mapping[str, str]) -> Answer:
    """GET a path over a connection that is open already."""
    connection = http.client.HTTPConnection(named)
    connection.sock = way
    connection.putrequest("GET", path, skip_host=True, skip_accept_encoding=True)
    for name, value in {"Host": named, **headers}.items():
        connection.putheader(name, value)
    connection.endheaders()
    response = connection.getresponse()
    found = {name.lower(): value for name, value in reversed(response.getheaders())}
    body = b"" if response.status == http.client.SWITCHING_PROTOCOLS else response.read(_LONGEST)
    return Answer(response.status, found, body)


def without_continue(heard: bytes) -> bytes:
    """What was heard after "100 Continue", which is no answer."""
    head, _, rest = heard.partition(b"\r\n\r\n")
    return rest if head.split(b" ")[1:2] == [b"100"] else heard


def parse_answer(heard: bytes) -> Answer:
    """The head of an answer; raises http.client.HTTPException for what is none."""
    line, _, rest = heard.partition(b"\r\n")
    words = line.split(None, 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        raise http.client.BadStatusLine(line.decode("latin-1"))
    message = http.client.parse_headers(io.BytesIO(rest))
    return Answer(int(words[1]), {name.lower(): value for name, value in message.items()})
