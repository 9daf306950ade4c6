"""The public address, and answers as they are read off a connection."""

from __future__ import annotations

import http.client

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wbagent.checks.public import Body, Public, parse_answer, without_continue


@pytest.mark.parametrize(
    ("url", "host", "port", "named"),
    [
        ("https://w.example.com", "w.example.com", 443, "w.example.com"),
        ("https://w.example.com:8443", "w.example.com", 8443, "w.example.com:8443"),
        ("http://10.0.0.1", "10.0.0.1", 80, "10.0.0.1"),
        ("http://10.0.0.1:443", "10.0.0.1", 443, "10.0.0.1:443"),
        ("https://w:443", "w", 443, "w"),
    ],
)
def test_host_is_named_as_clients_do(url: str, host: str, port: int, named: str) -> None:
    public = Public(url)
    assert (public.host, public.port, public.named) == (host, port, named)


@given(st.integers(0, 200_000))
def test_a_body_is_as_long_as_it_says(count: int) -> None:
    body = Body(b"<", count, b">>")
    assert sum(map(len, body.chunks())) == body.size == count + 3


def test_an_answer_is_read() -> None:
    heard = without_continue(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 413 Too Large\r\nServer: nginx\r\n\r\n<html>")
    answer = parse_answer(heard)
    assert (answer.status, answer.headers["server"]) == (413, "nginx")
    assert answer.said == "413 Request Entity Too Large"


@given(st.binary(max_size=80))
def test_what_is_no_answer_is_told_as_that(heard: bytes) -> None:
    try:
        answer = parse_answer(heard)
    except http.client.HTTPException:
        return
    assert heard.startswith(b"HTTP/")
    assert answer.status >= 0
