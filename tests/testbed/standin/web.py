"""The stand-in's HTTP side: probes, a page, and switches that make it fail.

`POST /standin/…` with `crash?code=N` (exit at once), `abort` (die by a signal of its own), `hang` (take connections
and never answer), `unready` and `ready`, `recover` (answer again), `panic` (the backend dies, the container stays),
`oom`, `log?lines=N&bytes=M`.

`oom` takes memory until the container's limit kills it. Where no limit is in force (the test bed's kernel has no
memory controller) nothing would stop it, so it takes 64 MB and exits with 137, the status that an OOM kill leaves;
Docker's OOMKilled flag is then not set.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from .log import entry, warning

_LIMIT = Path("/sys/fs/cgroup/memory.max")
_PAGE = b"<!doctype html><title>wandb/local stand-in</title>This is a stand-in for wandb/local, not W&amp;B's server.\n"
_REASONS = {200: "OK", 401: "Unauthorized", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}


class Server:
    """Answers on all addresses of the container; healthy from the start, ready when told so."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_server(("0.0.0.0", port), backlog=128)
        self._ready = False
        self._hanging = False
        self._change = threading.Condition()

    def start(self) -> None:
        """Begin to answer, in threads of its own."""
        threading.Thread(target=self._accept, daemon=True).start()

    def become_ready(self, *, ready: bool = True) -> None:
        """Answer /ready with 200 (or 503) from now on."""
        with self._change:
            self._ready = ready

    def _accept(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                connection.settimeout(30)
                method, target = _request(connection)
                status, body = self._answer(method, target)
                head = (
                    f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
                )
                connection.sendall(head.encode() + body)
            except (OSError, ValueError):
                # The caller went away or did not speak HTTP; nobody is left to tell.
                return

    def _answer(self, method: str, target: str) -> tuple[int, bytes]:
        path, _, query = target.partition("?")
        if path.startswith("/standin/"):
            return self._switch(method, path.removeprefix("/standin/"), query)
        with self._change:
            self._change.wait_for(lambda: not self._hanging)
            ready = self._ready
        if path == "/healthz":
            return 200, b"ok\n"
        if path == "/ready":
            return (200, b"ready\n") if ready else (503, b"not ready\n")
        entry("INFO", f"{method} {path}")
        if path == "/graphql":
            return 401, b'{"errors":[{"message":"user is not logged in"}]}\n'
        return (200, _PAGE) if path == "/" else (404, b"not found\n")

    def _switch(self, method: str, name: str, query: str) -> tuple[int, bytes]:
        if method != "POST":
            return 405, b"POST only\n"
        values = dict(pair.partition("=")[::2] for pair in query.split("&"))
        switches: dict[str, Callable[[], None]] = {
            "crash": lambda: _crash(int(values.get("code", "1"))),
            "abort": os.abort,
            "hang": lambda: self._hang(hanging=True),
            "recover": lambda: self._hang(hanging=False),
            "ready": lambda: self.become_ready(ready=True),
            "unready": lambda: self.become_ready(ready=False),
            "panic": self._panic,
            "oom": _exhaust_memory,
            "log": lambda: _log(int(values.get("lines", "1")), int(values.get("bytes", "80"))),
        }
        if name not in switches:
            return 404, b"no such switch: " + " ".join(switches).encode() + b"\n"
        switches[name]()
        return 200, b"done\n"

    def _hang(self, *, hanging: bool) -> None:
        with self._change:
            self._hanging = hanging
            self._change.notify_all()

    def _panic(self) -> None:
        self.become_ready(ready=False)
        sys.stderr.write("panic: runtime error: invalid memory address or nil pointer dereference\n")
        warning("Unable to start backend, see logs")


def _request(connection: socket.socket) -> tuple[str, str]:
    head = b""
    while b"\r\n\r\n" not in head:
        received = connection.recv(65536)
        if not received or len(head) > 65536:
            raise ValueError("no complete request")
        head += received
    head, _, body = head.partition(b"\r\n\r\n")
    first, *fields = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    _take_body(connection, fields, len(body))
    return method, target


def _take_body(connection: socket.socket, fields: list[str], taken: int) -> None:
    """Read what the caller sends, and forget it: who is answered half way may see no answer but a broken connection."""
    values = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
    missing = int(values.get("content-length", "0")) - taken
    if values.get("expect", "").lower() == "100-continue":
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    while missing > 0:
        received = len(connection.recv(65536))
        if not received:
            raise ValueError("no complete body")
        missing -= received


def _crash(code: int) -> None:
    entry("ERROR", f"exiting with status {code}, as asked")
    os._exit(code)


def _exhaust_memory() -> None:
    limited = _LIMIT.exists() and _LIMIT.read_text().strip() != "max"
    entry("INFO", f"taking memory {'up to the limit' if limited else 'without a limit in force'}")
    taken: list[bytes] = []
    while limited or len(taken) < 64:
        taken.append(b"\xff" * 1_000_000)
    os._exit(137)


def _log(lines: int, size: int) -> None:
    for number in range(lines):
        entry("INFO", f"line {number} ".ljust(size, "."))
