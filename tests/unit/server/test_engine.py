"""Answers of Docker's API as they come over its socket: whole, refused, cut off, not at all."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from urllib.parse import parse_qs, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wbagent.server.container import Docker, DockerAwayError
from wbagent.server.engine import Engine, _escaped, _unframed, unframed

PONG = b"HTTP/1.0 200 OK\r\nApi-Version: 1.41\r\nContent-Length: 2\r\n\r\nOK"


@contextmanager
def daemon(directory: Path, *answers: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """A socket that gives one answer a connection and closes it; with the first line of each request."""
    path = str(directory / "docker.sock")
    requests: list[bytes] = []

    def serve(listening: socket.socket) -> None:
        for answer in answers:
            connection, _ = listening.accept()
            with connection:
                requests.append(connection.recv(65536).split(b"\r\n")[0])
                connection.sendall(answer)

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        yield path, requests
        thread.join(10)


def test_an_older_daemon_is_asked_in_its_own_words(tmp_path: Path) -> None:
    with daemon(tmp_path, PONG, b"HTTP/1.0 200 OK\r\n\r\n{}") as (path, requests):
        assert Engine.connect(path, 5).ask("GET", "/info", timeout=5).json() == {}
    assert requests[1] == b"GET /v1.41/info? HTTP/1.0"


@given(st.text())
def test_a_question_is_escaped_as_in_any_url(text: str) -> None:
    assert unquote(_escaped(text), errors="strict") == text
    assert re.fullmatch(r"(?a:\w|%[0-9A-F]{2})*", _escaped(text))


def test_signals_come_from_the_daemons_events(tmp_path: Path) -> None:
    event = b'{"Actor":{"Attributes":{"signal":"15"}}}\n{"Actor":{"Attributes":{}}}\n'
    with daemon(tmp_path, PONG, b"HTTP/1.0 200 OK\r\n\r\n" + event) as (path, requests):
        assert Docker(f"unix://{path}").signals_sent("abc", 60) == ("15", "")
    asked = parse_qs(requests[1].split(b" ")[1].partition(b"?")[2].decode())
    assert asked["filters"] == ['{"container": ["abc"], "event": ["kill"]}']
    assert float(asked["until"][0]) - float(asked["since"][0]) == pytest.approx(60, abs=0.01)


def test_a_newer_daemon_is_asked_in_words_that_are_known(tmp_path: Path) -> None:
    newer = PONG.replace(b"1.41", b"1.99")
    with daemon(tmp_path, newer, b"HTTP/1.0 404 Not Found\r\n\r\n") as (path, requests):
        assert Docker(f"unix://{path}").find("x") is None
    assert requests[1].startswith(b"GET /v1.44/containers/x/json")


@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.0 200", b"HTTP/1.0 200 OK\r\n\r\n", b'HTTP/1.0 200 OK\r\n\r\n{"StatusCo', b"nonsense\r\n\r\n"],
)
def test_a_daemon_that_ends_meanwhile_is_away(tmp_path: Path, answer: bytes) -> None:
    with daemon(tmp_path, PONG, answer) as (path, _):
        docker = Docker(f"unix://{path}")
        with pytest.raises(DockerAwayError):
            docker.wait("x")


def test_no_daemon_is_away(tmp_path: Path) -> None:
    with pytest.raises(DockerAwayError):
        Docker(f"unix://{tmp_path}/docker.sock")


def test_the_end_is_waited_for_without_limit(tmp_path: Path) -> None:
    with daemon(tmp_path, PONG, b'HTTP/1.0 200 OK\r\n\r\n{"StatusCode":137}\n') as (path, requests):
        assert Docker(f"unix://{path}").wait("x") == 137
    assert requests[1].startswith(b"POST /v1.41/containers/x/wait")


def test_log_lines_without_their_frames() -> None:
    stream = b"\1\0\0\0\0\0\0\4one\n" + b"\2\0\0\0\0\0\0\4two\n"
    assert unframed(stream) == b"one\ntwo\n"
    assert unframed(b"a terminal's output\n") == b"a terminal's output\n"
    assert unframed(b"") == b""
    # Docker's answer may end in the middle of a piece.
    assert unframed(stream[:-2]) == b"one\ntw"


@given(st.lists(st.binary(max_size=50)))
def test_a_stream_is_unframed_piece_by_piece(pieces: list[bytes]) -> None:
    stream = b"".join(b"\x02\0\0\0" + len(piece).to_bytes(4, "big") + piece for piece in pieces)
    assert b"".join(_unframed(BytesIO(stream))) == b"".join(pieces)


def test_output_begins_when_the_daemon_has_attached(tmp_path: Path) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n"
    with daemon(tmp_path, PONG, head + b"\x01\0\0\0\0\0\0\x05ready") as (path, requests):
        assert list(Docker(f"unix://{path}").attach("abc")) == [b"ready"]
    assert requests[1] == b"POST /v1.41/containers/abc/attach?stream=1&stdout=1&stderr=1 HTTP/1.0"
    for answer in (b"", b"HTTP/1.0 404 Not Found\r\n\r\n{}"):
        directory = tmp_path / (answer.hex()[:4] or "none")
        directory.mkdir()
        with daemon(directory, PONG, answer) as (path, _):
            docker = Docker(f"unix://{path}")
            with pytest.raises(DockerAwayError, match="read the container's output"):
                docker.attach("abc")
