"""An HTTP receiver for alerts, as Apprise's `json://` posts them, that can refuse or keep its callers waiting."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, Self

from tests.testbed.errors import BedError

Behaviour = Literal["accept", "refuse", "hang"]


@dataclass(frozen=True)
class Alert:
    """One request that arrived: its JSON (Apprise sends `title`, `message`, `type`) and whether it got a 200."""

    path: str
    body: dict[str, Any]
    accepted: bool

    @property
    def text(self) -> str:
        """Title and message together, for searching."""
        return f"{self.body.get('title', '')}\n{self.body.get('message', '')}"


class Receiver:
    """A server on `address` (and a free port unless one is named) that records every alert posted to it."""

    def __init__(self, *, address: str = "127.0.0.1", port: int = 0) -> None:
        self._news = threading.Condition()
        self._alerts: list[Alert] = []
        self._behaviour: Behaviour = "accept"
        self._closing = False
        self._server = _Server((address, port), _handler(self))
        self.address, self.port = address, int(self._server.server_address[1])
        # The interval is how long `shutdown` may take; requests are answered as they come.
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="receiver", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._news:
            self._closing = True
            self._news.notify_all()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """The Apprise URL to put into `[alerts].to`."""
        return f"json://{self.address}:{self.port}/alerts"

    @property
    def alerts(self) -> list[Alert]:
        """Everything that arrived, oldest first; what was refused or kept waiting is there with `accepted` false."""
        with self._news:
            return list(self._alerts)

    @property
    def titles(self) -> list[str]:
        """Of what was accepted, oldest first, without the severity's brackets and the host's name."""
        return [str(alert.body["title"]).partition(": ")[2] for alert in self.alerts if alert.accepted]

    def behave(self, behaviour: Behaviour) -> None:
        """From now on answer 200 ("accept"), 503 ("refuse"), or not at all until told otherwise ("hang")."""
        with self._news:
            self._behaviour = behaviour
            self._news.notify_all()

    def forget(self) -> None:
        """Forget what has arrived so far."""
        with self._news:
            self._alerts.clear()

    def wait_for(self, predicate: Callable[[Alert], bool], timeout: float) -> Alert:
        """Return the first accepted alert, past or to come, that `predicate` holds for; BedError after `timeout` s."""
        with self._news:
            found = self._news.wait_for(
                lambda: next((alert for alert in self._alerts if alert.accepted and predicate(alert)), None), timeout
            )
            if found is None:
                texts = "\n".join(f"accepted={alert.accepted} {alert.text}" for alert in self._alerts)
                raise BedError(f"no such alert arrived within {timeout:g} s; what did arrive:\n{texts or '(nothing)'}")
            return found

    def take(self, path: str, body: dict[str, Any]) -> bool | None:
        """Record a request as the present behaviour says; return whether it is accepted, None for no answer at all."""
        with self._news:
            accepted = self._behaviour == "accept"
            self._alerts.append(Alert(path, body, accepted))
            self._news.notify_all()
            if self._behaviour == "hang":
                self._news.wait_for(lambda: self._closing or self._behaviour != "hang")
                return None
            return accepted


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # A caller that gave up leaves a handler behind; it must not keep the test from ending.
    block_on_close = False


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            accepted = receiver.take(self.path, json.loads(body))
            if accepted is None:
                self.close_connection = True
                return
            self.send_response(200 if accepted else 503)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's signature
            """Say nothing: the test looks at what was recorded."""

    return Handler
