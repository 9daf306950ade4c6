"""Dead man's pings to a real HTTP server: what it hears, and that one that is away spoils nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from pydantic import SecretStr

from wbagent.alerts.ping import Ping, ping


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server = self.server
        assert isinstance(server, _Server)
        server.heard.append((self.path, body.decode()))
        self.send_response(404 if "/gone" in self.path else 200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.heard: list[tuple[str, str]] = []

    def url(self, path: str) -> SecretStr:
        return SecretStr(f"http://127.0.0.1:{self.server_port}/{path}")


@contextmanager
def serving() -> Iterator[_Server]:
    server = _Server()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_each_ending_with_what_is_sent_along() -> None:
    with serving() as server:
        for what in Ping:
            assert ping(server.url("secret-id"), what, f"last line of {what.name}") == ""
        assert server.heard == [
            ("/secret-id", "last line of SUCCESS"),
            ("/secret-id/start", "last line of START"),
            ("/secret-id/fail", "last line of FAIL"),
            ("/secret-id/log", "last line of LOG"),
        ]


def test_a_service_that_refuses_or_is_away_is_named_without_the_secret() -> None:
    with serving() as server:
        refused = ping(server.url("secret-id/gone"), Ping.SUCCESS)
        away = server.url("secret-id")
    assert refused == "http://127.0.0.1/… answered 404 Not Found"
    gone = ping(away, Ping.SUCCESS)
    assert gone.startswith("http://127.0.0.1/… cannot be reached: ")
    assert "secret" not in gone + refused
