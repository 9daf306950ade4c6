"""`wbagent init` without a terminal, into a file of its own."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from wbagent.cli.main import cli
from wbagent.config import load
from wbagent.errors import UsageError, WbagentError

# Nobody listens there, which is as it should be before the server runs.
INIT = [sys.executable, "-m", "wbagent.cli.main", "init"]
IMAGE = "wandb/local:0.83.0"
OPTIONS = ["--host", "http://127.0.0.1:9", "--image", IMAGE, "--storage", "embedded"]


def run(*arguments: str, text: str = "") -> Result:
    return CliRunner().invoke(cli, ["init", *arguments], input=text)


def refused(result: Result) -> WbagentError:
    assert isinstance(result.exception, WbagentError)
    return result.exception


def test_everything_goes_into_the_file(tmp_path: Path) -> None:
    path = tmp_path / "new.toml"
    result = run(
        *OPTIONS,
        "--license-file",
        "-",
        "--into",
        str(path),
        text="aaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbb.cccccccccccccccc\n",
    )
    assert result.exit_code == 0, result.output
    assert "aaaa" not in result.output
    settings = load(path).settings
    assert settings.server
    assert settings.server.embedded
    assert settings.server.license
    assert settings.server.license.get_secret_value().startswith("aaaa")
    assert path.read_text().count("\n") > 300
    again = refused(run(*OPTIONS, "--into", str(path)))
    assert "exists, and stays as it is" in again.message


def test_a_secret_in_place_of_a_file_is_refused_and_not_repeated(tmp_path: Path) -> None:
    result = run(*OPTIONS, "--destination-file", "s3://KEY:s3cret@h/bucket", "--into", str(tmp_path / "new.toml"))
    error = refused(result)
    assert error.exit_status == 64
    assert "every user of this host can read a command line" in error.message
    assert "s3cret" not in result.output + error.message + error.hint


def test_standard_input_gives_one_answer(tmp_path: Path) -> None:
    files = ["--license-file", "-", "--alerts-file", "-"]
    assert "one answer only" in refused(run(*OPTIONS, *files, "--into", str(tmp_path / "new.toml"))).message


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--host", "http://127.0.0.1:9"], "--image IMAGE --mysql-file FILE --bucket-file FILE"),
        ([*OPTIONS, "--mysql-file", "-"], "leave it out"),
        (["--host", "wandb.example.com"], "wbagent init --help"),
    ],
)
def test_answers_that_make_no_sense_are_told_with_what_to_do(tmp_path: Path, options: list[str], told: str) -> None:
    path = tmp_path / "new.toml"
    error = refused(run(*options, "--into", str(path), text="mysql://u:p@h/d"))
    assert isinstance(error, UsageError)
    assert told in error.hint
    assert not path.exists()


def test_an_answer_that_does_not_pass_is_taken_only_when_told_so(tmp_path: Path) -> None:
    path = tmp_path / "new.toml"
    options = [*OPTIONS, "--license-file", "-", "--into", str(path)]
    failed = run(*options, text="short")
    assert "PROBLEM: a licence is longer than 5 characters" in failed.output
    assert refused(failed).exit_status == 69
    assert not path.exists()
    assert run(*options, "--keep", text="short").exit_code == 0
    assert path.exists()


def test_only_this_hosts_file_is_filled_in(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["--config", str(tmp_path / "x.toml"), "init", *OPTIONS])
    assert "--into" in refused(result).hint


@contextmanager
def meeting(count: int) -> Iterator[tuple[list[int], threading.Barrier]]:
    """Ports whose listeners say nothing until each of them, and the test, has a caller; then they hang up."""
    barrier = threading.Barrier(count + 1)

    def meet(listener: socket.socket) -> None:
        way, _ = listener.accept()
        with way, suppress(threading.BrokenBarrierError):
            barrier.wait(8)

    with ExitStack() as stack:
        listeners = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        threads = [threading.Thread(target=meet, args=(each,)) for each in listeners]
        for thread in threads:
            thread.start()
        yield [each.getsockname()[1] for each in listeners], barrier
        for thread in threads:
            thread.join()


def test_answers_are_tried_side_by_side_and_shown_in_their_order(tmp_path: Path) -> None:
    with meeting(3) as (ports, barrier):
        (tmp_path / "mysql").write_text("mysql://u:p@127.0.0.1/d")
        (tmp_path / "database").write_text(f"mysql://u:p@127.0.0.1:{ports[1]}/d")
        (tmp_path / "bucket").write_text("s3://KEY:SECRET@127.0.0.1:9/files")
        (tmp_path / "destination").write_text(f"s3://KEY:SECRET@127.0.0.1:{ports[2]}/backups")
        files = [f"--{name}-file={tmp_path / name}" for name in ("mysql", "database", "bucket", "destination")]
        all_met: list[bool] = []

        def wait() -> None:
            with suppress(threading.BrokenBarrierError):
                barrier.wait(8)
                all_met.append(True)

        waiting = threading.Thread(target=wait)
        waiting.start()
        result = run(
            "--host", f"http://127.0.0.1:{ports[0]}", "--image", IMAGE, *files, "--into", str(tmp_path / "new")
        )
        waiting.join()
    assert all_met, result.output
    assert "host, mysql, bucket, database, destination did not pass" in refused(result).message
    shown = [line.partition(":")[0] for line in result.output.splitlines() if not line.startswith(" ")]
    assert shown == ["host", "image", "mysql", "bucket", "database", "destination"]


class Store(ThreadingHTTPServer):
    """Holds a PUT until it is released, and takes everything."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), StoreRequest)
        self.asked: list[str] = []
        self.put, self.released = threading.Event(), threading.Event()


class StoreRequest(BaseHTTPRequestHandler):
    server: Store
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.put.set()
        self.server.released.wait(8)
        self.answer(b"")

    def do_GET(self) -> None:
        self.answer(b"a probe of wbagent; it is removed at once")

    def do_DELETE(self) -> None:
        self.answer(b"")

    def answer(self, body: bytes) -> None:
        self.server.asked.append(self.command)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Not on the terminal."""


def test_ctrl_c_ends_it_at_once_and_no_object_is_left(tmp_path: Path) -> None:
    """A database that never answers is not waited for, a store that is at it is."""
    with socket.create_server(("127.0.0.1", 0)) as silent, Store() as store:
        serving = threading.Thread(target=store.serve_forever, daemon=True)
        serving.start()
        port = silent.getsockname()[1]
        (tmp_path / "database").write_text(f"mysql://u:p@127.0.0.1:{port}/d")
        (tmp_path / "destination").write_text(f"s3://KEY:SECRET@127.0.0.1:{store.server_port}/backups")
        files = [f"--{name}-file={tmp_path / name}" for name in ("database", "destination")]
        process = subprocess.Popen(
            [*INIT, "--unattended", "--role=database", *files, "--into", str(tmp_path / "new.toml")],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        # The connection stays open, and nobody reads from it.
        way, _ = silent.accept()
        assert store.put.wait(8)
        process.send_signal(signal.SIGINT)
        assert process.stderr
        assert process.stderr.readline() == "\n"
        assert process.stderr.readline() == "nothing was written\n"
        store.released.set()
        assert process.wait(8) == 130
        way.close()
        assert process.communicate()[1] == ""
        store.shutdown()
        serving.join()
    assert store.asked == ["PUT", "GET", "DELETE"]
    assert not (tmp_path / "new.toml").exists()
