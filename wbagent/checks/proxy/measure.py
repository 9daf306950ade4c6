"""Sends requests through the load balancer and notes what becomes of them, there and back."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from wbagent.checks.proxy.facts import Big, Path, Redirect, Wait
from wbagent.checks.proxy.head import Head, Witness, marked, new_token
from wbagent.checks.proxy.substitute import SLOW, STREAM, Substitute
from wbagent.checks.public import Answer, AwayError, Body, Public

# The request of `wandb verify`: a query with 10^7 letters in one of its variables. Nobody is logged in, so that the
# server does no more than read it.
_QUERY: Final = (b'{"query":"{ viewer { id } }","variables":{"desc":"', b'"}}')
_GRAPHQL: Final = "/graphql"
_JSON: Final = {"Content-Type": "application/json"}
# A request comes to the server within milliseconds; where it does not come, this is how long a check waits in vain.
_SEEN_WITHIN_S: Final = 2.0
# HAProxy and others ask a server several times before they believe that it is back.
_BACK_WITHIN_S: Final = 12.0
_ASK_AGAIN_S: Final = 1.0
_HANDSHAKE: Final = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "d2JhZ2VudCBjaGVjayBXUw==",
}
# What may be the load balancer's answer instead of the server's.
_SUSPECT: Final = frozenset({400, 403, 404, 405, 408, 413})


def path(public: Public, local: Public, name: str, witness: Witness | None, *, patient: bool) -> Path:
    """Ask for a page of the server; `patient`: the load balancer may have to find out first that the server is back."""
    until = time.monotonic() + (_BACK_WITHIN_S if patient else 0)
    while True:
        token = new_token()
        answer = public.get(name, marked(token))
        arrived = None if witness is None else witness.seen(token, _SEEN_WITHIN_S) is not None
        if arrived or answer.status not in {502, 503, 504} or time.monotonic() > until:
            break
        # Nothing tells when it has found out.
        time.sleep(_ASK_AGAIN_S)
    own: Answer | None = None
    with suppress(AwayError):
        own = local.get(name)
    same = own is not None and (own.status, own.body) == (answer.status, answer.body)
    return Path(name, answer, arrived, same)


def big(public: Public, local: Public, count: int, seconds: float) -> Big:
    """Send a body of so many letters."""
    body = Body(_QUERY[0], count, _QUERY[1])
    through = public.post(_GRAPHQL, body, _JSON | marked(new_token()), seconds)
    status = through.answer.status if through.answer else 0
    direct = None
    if through.cut or status in _SUSPECT or status >= 500:
        direct = local.post(_GRAPHQL, body, _JSON | marked(new_token()), seconds)
    return Big(through, direct, seconds)


def handshake(public: Public, witness: Witness | None) -> tuple[Head | None, Answer]:
    """Ask for a websocket: how that reached the server, and what came back."""
    token = new_token()
    answer = public.get("/", _HANDSHAKE | marked(token))
    return (witness.seen(token, _SEEN_WITHIN_S) if witness else None), answer


def arrived(public: Public, witness: Witness | None) -> Head | None:
    """How a plain request reaches the server."""
    if witness is None:
        return None
    token = new_token()
    public.get("/healthz", marked(token))
    return witness.seen(token, _SEEN_WITHIN_S)


def stream(public: Public, substitute: Substitute) -> bool:
    """Whether the first piece of an answer comes before the second one is sent."""
    with _asked(public, STREAM, 10.0) as response:
        response.readline()
        substitute.first_was_read()
        return response.readline() == b"at once\n"


def slow_answer(public: Public, substitute: Substitute, seconds: float) -> Wait:
    """Have an answer take so long."""
    substitute.wait_before_answering(seconds)
    begun = time.monotonic()
    try:
        with _asked(public, SLOW, seconds + 5) as response:
            answer = response.status
    except AwayError as error:
        return Wait(time.monotonic() - begun, error.message)
    lasted = time.monotonic() - begun
    return Wait(lasted, "" if answer == 200 else f"{answer} {http.client.responses.get(answer, '')}")


def slow_upload(public: Public, seconds: float) -> Wait:
    """Pause for so long in the midst of a body."""
    body, begun = b"a" * 64, time.monotonic()
    lines = {"Host": public.named, "Content-Length": str(len(body)), **_JSON, **marked(new_token())}
    head = f"POST {_GRAPHQL} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items()) + "\r\n"
    try:
        with public.connection(seconds) as way:
            way.sendall(head.encode() + body[:32])
            early = _heard(way)
            lasted = time.monotonic() - begun
            if early is not None:
                return Wait(lasted, early)
            way.sendall(body[32:])
            way.settimeout(10.0)
            answer = way.recv(64)
    except AwayError as error:
        return Wait(time.monotonic() - begun, error.message)
    return Wait(lasted, "" if answer and b" 408 " not in answer else "the connection was closed without an answer")


def redirect(public: Public) -> Redirect:
    """Ask by http:// for what is at https://."""
    try:
        return Redirect(Public(f"http://{public.host}").get("/healthz", marked(new_token())))
    except AwayError as error:
        return Redirect(None, error.message)


def _heard(way: socket.socket) -> str | None:
    """What comes although nothing is due: None when the time-out of the socket passes in silence."""
    try:
        got = way.recv(64)
    except TimeoutError:
        return None
    return got.split(b"\r\n")[0].decode("latin-1") or "the connection was closed"


@contextmanager
def _asked(public: Public, name: str, timeout: float) -> Iterator[http.client.HTTPResponse]:
    with public.connection(timeout) as way:
        connection = http.client.HTTPConnection(public.named)
        connection.sock = way
        connection.request("GET", name, headers=marked(new_token()))
        yield connection.getresponse()
