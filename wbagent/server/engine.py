"""Docker's API over its Unix socket, as far as supervision needs it: one request, one answer, one connection.

The SDK takes 80 ms to import, on the way of every restart, and 15 MB beside every server; http.client 15 ms more than
this (docs/decisions/0007). In HTTP/1.0 an answer is a head, and then a body up to the end of the connection.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, Self

# The newest API that is known to have all that is asked for here; an older daemon says what it has.
_NEWEST_API: Final = (1, 44)
_PIECE: Final = 65536
_FRAME_HEAD: Final = 8


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP status of Docker's, its head in lower case, its body."""

    status: int
    head: str
    body: bytes

    def json(self) -> Any:
        """What the body says. Raises ValueError when the daemon ended in the middle of it."""
        return json.loads(self.body)

    @property
    def message(self) -> str:
        """What Docker says went wrong."""
        try:
            return str(self.json()["message"])
        except (ValueError, KeyError, TypeError):
            return f"HTTP status {self.status}"


class Engine:
    """The API of the daemon behind a socket. Every method raises OSError or ValueError when it does not answer."""

    def __init__(self, path: str, version: str) -> None:
        self._path = path
        self._prefix = f"/v{version}"

    @classmethod
    def connect(cls, path: str, timeout: float) -> Self:
        """Agree on a version: Docker 20.10 knows none above 1.41, and Docker 29 none below 1.44."""
        _, _, rest = _exchange(path, "GET", "/_ping", timeout=timeout).head.partition("\napi-version:")
        newest = tuple(int(number) for number in rest.partition("\n")[0].split(".")) if rest else _NEWEST_API
        return cls(path, ".".join(str(number) for number in min(newest, _NEWEST_API)))

    def ping(self, timeout: float) -> None:
        """Ask whether the daemon is there."""
        _exchange(self._path, "GET", "/_ping", timeout=timeout)

    def ask(
        self,
        method: str,
        path: str,
        *,
        timeout: float | None,
        query: Mapping[str, str | int] | None = None,
        body: object = None,
    ) -> Answer:
        """Send one request; `timeout` in seconds is how long Docker may stay silent, None for ever.

        `path` holds only what needs no escaping in a URL.
        """
        asked = "&".join(f"{name}={_escaped(str(value))}" for name, value in (query or {}).items())
        return _exchange(self._path, method, f"{self._prefix}{path}?{asked}", timeout=timeout, body=body)

    def attach(self, container: str, *, timeout: float) -> Iterator[bytes]:
        """The output of a container that is not started yet: pieces as they come, up to its end or the daemon's."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        with connection, connection.makefile("rb") as answer:
            connection.settimeout(timeout)
            connection.connect(self._path)
            path = f"{self._prefix}/containers/{container}/attach?stream=1&stdout=1&stderr=1"
            connection.sendall(f"POST {path} HTTP/1.0\r\nHost: docker\r\nContent-Length: 0\r\n\r\n".encode())
            status = answer.readline().split(b" ")[1:2]
            while answer.readline() not in {b"\r\n", b""}:
                pass
            if status != [b"200"]:
                raise ConnectionError("the daemon does not give the container's output")
            connection.settimeout(None)
            # Attached: from now on nothing that it says is missed.
            yield b""
            yield from _unframed(answer)


def _unframed(stream: BinaryIO) -> Iterator[bytes]:
    """As `unframed`, of a stream that goes on."""
    while len(head := stream.read(_FRAME_HEAD)) == _FRAME_HEAD:
        yield stream.read(int.from_bytes(head[4:], "big"))


def _escaped(text: str) -> str:
    """As urllib.parse.quote, which takes 5 ms to import."""
    return "".join(chr(byte) if byte < 128 and chr(byte).isalnum() else f"%{byte:02X}" for byte in text.encode())


def _exchange(path: str, method: str, asked: str, *, timeout: float | None, body: object = None) -> Answer:
    content = b"" if body is None else json.dumps(body).encode()
    request = f"{method} {asked} HTTP/1.0\r\nHost: docker\r\nContent-Length: {len(content)}\r\n"
    request += "Content-Type: application/json\r\n\r\n" if content else "\r\n"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as connection:
        connection.settimeout(timeout)
        connection.connect(path)
        connection.sendall(request.encode() + content)
        pieces = []
        while piece := connection.recv(_PIECE):
            pieces.append(piece)
    head, ended, text = b"".join(pieces).partition(b"\r\n\r\n")
    if not ended:
        raise ConnectionError("the daemon closed the connection without an answer")
    lines = head.decode("latin-1").lower().replace("\r", "")
    # Such as "http/1.0 200 ok".
    status = lines.partition(" ")[2][:3]
    return Answer(int(status), lines, text)


def unframed(stream: bytes) -> bytes:
    """The output in a log that Docker sent: each piece has 8 bytes before it, of which the last 4 are its length."""
    pieces = []
    while len(stream) >= 8:
        length = int.from_bytes(stream[4:8], "big")
        # A container with a terminal has no frames; ours has none, but nothing here depends on it.
        if stream[0] > 2 or stream[1:4] != b"\0\0\0":
            break
        pieces.append(stream[8 : 8 + length])
        stream = stream[8 + length :]
    return b"".join(pieces) if pieces else stream
