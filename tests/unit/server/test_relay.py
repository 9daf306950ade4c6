"""The relay: every byte both ways, a half that ends leaves the other, and a clear word when nobody is there."""

from __future__ import annotations

import hashlib
import os
import socket
import threading

import pytest

from wbagent.errors import DatabaseError
from wbagent.server.relay import relay


def received(connection: socket.socket) -> bytes:
    data = b""
    while chunk := connection.recv(1 << 16):
        data += chunk
    return data


def test_an_answer_still_comes_after_the_question_has_ended() -> None:
    question, answer = os.urandom(3 << 20), os.urandom(5 << 20)
    heard: list[bytes] = []

    def serve() -> None:
        server, _ = listener.accept()
        with server:
            heard.append(received(server))
            server.sendall(answer)

    near, caller = socket.socketpair()
    with socket.create_server(("127.0.0.1", 0)) as listener, near, caller:
        threads = [threading.Thread(target=serve)]
        threads.append(threading.Thread(target=relay, args=(near, listener.getsockname()[1])))
        for thread in threads:
            thread.start()
        caller.sendall(question)
        caller.shutdown(socket.SHUT_WR)
        back = received(caller)
        for thread in threads:
            thread.join(20)
    assert hashlib.sha256(heard[0]).digest() == hashlib.sha256(question).digest()
    assert hashlib.sha256(back).digest() == hashlib.sha256(answer).digest()


def test_a_server_that_breaks_off_ends_the_callers_connection() -> None:
    near, caller = socket.socketpair()
    with socket.create_server(("127.0.0.1", 0)) as listener, near, caller:
        thread = threading.Thread(target=relay, args=(near, listener.getsockname()[1]))
        thread.start()
        server, _ = listener.accept()
        # The relay is past its connect(): an end before that is an error of its own.
        caller.sendall(b"?")
        assert server.recv(1) == b"?"
        server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        server.close()
        assert received(caller) == b""
        thread.join(20)
        assert not thread.is_alive()


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    near, caller = socket.socketpair()
    with near, caller, pytest.raises(DatabaseError, match="within the container"):
        relay(near, port)
