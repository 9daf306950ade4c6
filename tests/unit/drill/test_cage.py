"""The container of a drill: what it may never be given, and what goes over the connection to it."""

from __future__ import annotations

import json
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wbagent.database import contained
from wbagent.database.contained import Contained, ContainedMysqld, Request, contained_mysqld
from wbagent.database.mysqld import check_mysqld
from wbagent.database.process import NoStartError
from wbagent.drill.cage import cage
from wbagent.drill.container import _lines
from wbagent.errors import DatabaseError, UsageError

ROOM = "/var/lib/wbagent/scratch/restoring-a1_b2"
OWNER = (990, 991)


@given(st.lists(st.text()))
def test_no_option_widens_the_cage(options: list[str]) -> None:
    config = cage("mysql:8.4", Request(tuple(options), ROOM), OWNER, "run", ["/var/lib/mysql"]).config
    bare = cage("mysql:8.4", Request((), ROOM), OWNER, "run", ["/var/lib/mysql"]).config
    assert config | {"Cmd": []} == bare
    host = config["HostConfig"]
    assert (config["User"], config["Entrypoint"]) == ("990:991", ["mysqld"])
    assert (host["NetworkMode"], host["ReadonlyRootfs"], host["CapDrop"]) == ("none", True, ["ALL"])
    assert [mount["Source"] for mount in host["Mounts"]] == [ROOM]
    assert set(host["Tmpfs"]) == {"/tmp", "/var/lib/mysql"}  # noqa: S108 - the container's own


@pytest.mark.parametrize(
    "room",
    [
        "/",
        "/etc",
        "/var/lib/wbagent/scratch",
        f"{ROOM}/data",
        "/var/lib/wbagent/scratch/restoring-/..",
        f"{ROOM}\n",
        "/var/lib/wbagent/../scratch/restoring-a",
    ],
)
def test_only_a_restores_room_is_let_in(room: str) -> None:
    with pytest.raises(UsageError, match="is no room for a restore"):
        cage("mysql:8.4", Request((), room), OWNER, "run", [])


def test_the_version_is_asked_without_any_room() -> None:
    assert cage("mysql:8.4", Request(("--version",), ""), OWNER, "run", []).config["HostConfig"]["Mounts"] == []


@given(st.text(), st.lists(st.integers(0, 40)))
def test_lines_are_whole_however_they_were_cut(text: str, cuts: list[int]) -> None:
    data = text.encode(errors="replace")
    ends = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[begin:end] for begin, end in pairwise(ends)]
    whole = data.decode().split("\n")
    assert list(_lines(iter(pieces))) == (whole if whole[-1] else whole[:-1])


@given(st.lists(st.text()), st.text())
def test_a_request_arrives_as_it_was_sent(options: list[str], room: str) -> None:
    request = Request(tuple(options), room)
    line = request.to_line()
    assert line.count(b"\n") == 1
    assert Request.from_line(line) == request


@pytest.mark.parametrize("line", [b"", b"GET / HTTP/1.1\r\n", b"[]\n", b'{"options": 3, "room": ""}\n', b"{}\n"])
def test_what_is_no_request(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"^no request"):
        Request.from_line(line)


def test_an_image_that_is_too_old_is_named() -> None:
    program = ContainedMysqld("the mysqld of image mysql:8.0", "MySQL", (8, 0, 36), "mysqld  Ver 8.0.36", "mysql:8.0")
    with pytest.raises(DatabaseError, match=r"the mysqld of image mysql:8\.0 is MySQL 8\.0\.36 .* 8\.4\.2") as told:
        check_mysqld(program, "8.4.2", (8, 4, 2), physical=True)
    assert "name an image of MySQL 8.4.2 in [backup.drill] image" in told.value.hint


# --- what the other side says, or does not ---


@contextmanager
def unit(monkeypatch: pytest.MonkeyPatch, directory: Path, *answers: bytes) -> Iterator[None]:
    """A socket behind which these lines are said, after a request; then the connection is closed."""
    path = directory / "drill.sock"
    monkeypatch.setattr(contained, "SOCKET", path)

    def serve(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection, connection.makefile("rb") as lines:
            lines.readline()
            connection.sendall(b"".join(answers))

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        yield
        thread.join(10)


STARTED = b'{"started": "abc"}\n'


def said(**what: object) -> bytes:
    return json.dumps(what).encode() + b"\n"


def test_the_version_of_an_image(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    version = said(line="/usr/sbin/mysqld  Ver 8.4.2 for Linux on x86_64 (MySQL Community Server - GPL)")
    with unit(monkeypatch, tmp_path, STARTED, version, said(ended=0, what="", hint="")):
        found = contained_mysqld("mysql:8.4")
    assert (found.version, found.image) == ((8, 4, 2), "mysql:8.4")


def test_an_image_without_mysqld(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    refused = said(refused='exec: "mysqld": executable file not found in $PATH', hint="docker info")
    with unit(monkeypatch, tmp_path, refused), pytest.raises(NoStartError, match="executable file not found") as told:
        contained_mysqld("debian:13")
    assert told.value.environmental


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with unit(monkeypatch, tmp_path), pytest.raises(NoStartError, match="ended without an answer") as told:
        Contained(Request((), ROOM))
    assert told.value.environmental
    monkeypatch.setattr(contained, "SOCKET", tmp_path / "none")
    with pytest.raises(NoStartError, match="No such file or directory"):
        Contained(Request((), ROOM))


@pytest.mark.parametrize(
    ("answers", "status", "blow"),
    [
        ((said(ended=0, what="", hint=""),), 0, ""),
        ((said(ended=1, what="", hint=""),), 1, ""),
        ((said(line="x"), said(ended=-9, what="no memory", hint="more")), -signal.SIGKILL, "no memory"),
        ((said(line="x"),), -signal.SIGKILL, "the unit that runs its container ended"),
        ((said(line="x"), b'{"ended": 0, "wh'), -signal.SIGKILL, "the unit that runs its container ended"),
    ],
)
def test_how_it_ended(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, answers: tuple[bytes, ...], status: int, blow: str
) -> None:
    with unit(monkeypatch, tmp_path, STARTED, *answers):
        running = Contained(Request((), ROOM))
        assert running.poll() is None
        assert list(running.lines()) in ([], [b"x"])
    assert (running.poll(), running.wait()) == (status, status)
    found = running.blow()
    assert (found.what if found else "") == blow
