"""The page of metrics over real sockets: what a good client gets, and that no bad one holds anything up."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.testbed.address import free_port
from wbagent.agent import exporter
from wbagent.agent.exporter import Exporter
from wbagent.config.listen import Listen
from wbagent.errors import StateError

PAGE = b"wbagent_up 1\n"


def page(accept: str) -> tuple[bytes, str]:
    if accept == "trouble":
        raise StateError("the state file is away", hint="")
    return PAGE, f"text/plain; for={accept or 'anybody'}"


def serve(story: Callable[[Listen], Awaitable[None]]) -> None:
    async def run() -> None:
        address = Listen("127.0.0.1", free_port("127.0.0.1"))
        served = Exporter(page)
        await served.listen(address)
        try:
            await story(address)
        finally:
            served.close()

    asyncio.run(run())


async def send(address: Listen, request: bytes) -> bytes:
    """Everything that comes back until the other side closes."""
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(request)
    try:
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()


def test_get_and_head() -> None:
    async def story(address: Listen) -> None:
        head, _, body = (await send(address, b"GET /metrics HTTP/1.1\r\nHost: h\r\nAccept: me\r\n\r\n")).partition(
            b"\r\n\r\n"
        )
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"Content-Type: text/plain; for=me" in head
        assert body == PAGE
        same, _, nothing = (await send(address, b"HEAD /metrics?x=1 HTTP/1.0\r\naccept:me\r\n\r\n")).partition(
            b"\r\n\r\n"
        )
        assert (same, nothing) == (head, b"")

    serve(story)


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        (b"POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", b"405 Method Not Allowed"),
        (b"GET / HTTP/1.1\r\n\r\n", b"404 Not Found"),
        (b"GET http://elsewhere/metrics HTTP/1.1\r\n\r\n", b"400 Bad Request"),
        (b"\x16\x03\x01\x02\r\n\r\n", b"400 Bad Request"),
        (b"GET /metrics\r\n\r\n", b"400 Bad Request"),
        (b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 20_000 + b"\r\n\r\n", b"431 Request Header Fields Too Large"),
        (b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 20_000, b"431 Request Header Fields Too Large"),
        (b"GET /metrics HTTP/1.1\r\nAccept: trouble\r\n\r\n", b"503 Service Unavailable"),
    ],
)
def test_bad_requests_get_one_answer_and_no_page(request_text: bytes, status: bytes) -> None:
    async def story(address: Listen) -> None:
        answer = await send(address, request_text)
        assert answer.startswith(b"HTTP/1.1 " + status)
        assert PAGE not in answer
        assert answer.count(b"HTTP/1.1") == 1

    serve(story)


def test_clients_that_say_nothing_are_let_go_and_hold_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporter, "_PATIENCE_S", 1.0)

    async def story(address: Listen) -> None:
        silent = [await asyncio.open_connection(address.host, address.port) for _ in range(3)]
        silent[0][1].write(b"GET /metrics HTT")
        assert (await send(address, b"GET /metrics HTTP/1.1\r\n\r\n")).endswith(PAGE)
        for reader, writer in silent:
            with suppress(ConnectionResetError):
                assert await asyncio.wait_for(reader.read(), 10) == b""
            writer.close()

    serve(story)


def test_more_clients_than_one_host_can_have_are_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporter, "_MOST_CLIENTS", 2)

    async def story(address: Listen) -> None:
        silent = [await asyncio.open_connection(address.host, address.port) for _ in range(2)]
        with suppress(ConnectionResetError):
            assert await send(address, b"GET /metrics HTTP/1.1\r\n\r\n") == b""
        silent[0][1].close()
        silent[1][1].write(b"GET /metrics HTTP/1.1\r\n\r\n")
        assert (await asyncio.wait_for(silent[1][0].read(), 10)).endswith(PAGE)
        silent[1][1].close()

    serve(story)


def test_a_unix_socket_is_for_everybody_who_gets_there_and_goes_away(tmp_path: Path) -> None:
    path = tmp_path / "http"

    async def story() -> None:
        served = Exporter(page)
        await served.listen(Listen(path=path))
        assert stat.S_IMODE(path.stat().st_mode) == 0o666
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"GET /metrics HTTP/1.1\r\n\r\n")
        assert (await reader.read()).endswith(PAGE)
        writer.close()
        # A killed agent leaves the socket behind: the next one takes its place.
        again = Exporter(page)
        await again.listen(Listen(path=path))
        again.close()
        served.close()
        assert not path.exists()

    asyncio.run(story())


def test_another_address_takes_the_place_of_the_first_and_a_taken_one_is_told() -> None:
    async def story(address: Listen) -> None:
        served = Exporter(page)
        with pytest.raises(StateError, match=f"cannot be had at {address}") as caught:
            await served.listen(address)
        assert "ss -lptn" in caught.value.hint
        await served.listen(second := Listen("127.0.0.1", free_port("127.0.0.1")))
        assert (await send(second, b"GET /metrics HTTP/1.1\r\n\r\n")).endswith(PAGE)
        await served.listen(None)
        with pytest.raises(ConnectionRefusedError):
            await send(second, b"GET /metrics HTTP/1.1\r\n\r\n")

    serve(story)
