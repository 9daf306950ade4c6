"""The stand-in for wandb/local behaves as W&B's image is reported to, with its program run outside Docker."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from tests.testbed.address import free_port
from tests.testbed.command import run
from tests.testbed.mysql import MysqlServer
from tests.testbed.program import Program, inside
from tests.testbed.standin_image import image_tree
from wbagent.config.dsn import MysqlURL

_UP = r"All services started"


class Container:
    """The image's tree, once: what its first start writes is there at the second."""

    def __init__(self, tree: Path, settings: dict[str, str]) -> None:
        self._tree = tree
        self._port = free_port("127.0.0.1")
        self._settings = {**settings, "STANDIN_PORT": str(self._port), "PATH": os.environ["PATH"]}
        run(["cp", "-a", str(image_tree()), str(tree)])

    def start(self, **settings: str) -> Program:
        environment = [f"{name}={value}" for name, value in {**self._settings, **settings}.items()]
        command = ["env", "-i", *environment, *inside(self._tree, self._tree.parent, ["/sbin/my_init"])]
        return Program("stand-in", command, self._tree.with_suffix(".log"))

    def get(self, path: str, timeout: float = 10) -> int:
        return requests.get(f"http://127.0.0.1:{self._port}{path}", timeout=timeout).status_code

    def switch(self, name: str) -> int:
        return requests.post(f"http://127.0.0.1:{self._port}/standin/{name}", timeout=10).status_code


Make = Callable[..., tuple[Container, Program]]


@pytest.fixture
def make(tmp_path: Path, database: MysqlURL) -> Iterator[Make]:
    """Make a container and start it; what still runs at the end is killed."""
    started: list[Program] = []

    def start(**settings: str) -> tuple[Container, Program]:
        container = Container(
            tmp_path / f"container-{len(started)}",
            {
                "HOST": "http://localhost:8080",
                "LICENSE": "license",
                "BUCKET": "s3://key:secret@127.0.0.1:9000/files",
                "BUCKET_QUEUE": "internal://",
                "AWS_REGION": "us-east-1",
                "MYSQL": str(database),
            },
        )
        started.append(container.start(**settings))
        return container, started[-1]

    yield start
    for program in started:
        if program.process.poll() is None:
            program.kill()


def _schema(mysql: MysqlServer, database: MysqlURL) -> list[tuple[int, int]]:
    return list(mysql.execute("SELECT version, dirty FROM schema_migrations", database=database.database))


def test_migrates_the_database_it_is_given_and_is_ready(make: Make, mysql: MysqlServer, database: MysqlURL) -> None:
    container, program = make()
    assert "Running /etc/my_init.d/" in program.wait_for_line("my_init.d", 10)
    program.wait_for_line(_UP, 10)
    assert (container.get("/healthz"), container.get("/ready"), container.get("/")) == (200, 200, 200)
    assert _schema(mysql, database) == [(3, 0)]
    assert '"message":"stand-in for wandb/local serves http://localhost:8080"' in program.tail()

    program.stop(10)
    assert program.process.returncode == 0


def test_a_stopped_container_cannot_be_started_again(make: Make) -> None:
    container, program = make()
    program.wait_for_line(_UP, 10)
    program.kill()
    again = container.start()
    again.wait_for_line("mkdir: cannot create directory .*: File exists", 10)
    assert again.process.wait(10) == 1


def test_is_healthy_but_not_ready_while_it_migrates_and_left_dirty_when_stopped(
    make: Make, mysql: MysqlServer, database: MysqlURL
) -> None:
    container, program = make(STANDIN_MIGRATION_SECONDS="600")
    program.wait_for_line("running migration 1 of 3", 10)
    assert (container.get("/healthz"), container.get("/ready")) == (200, 503)
    program.stop(10)
    assert program.process.returncode == 2
    assert _schema(mysql, database) == [(1, 1)]

    container, program = make()
    program.wait_for_line(r"panic: Dirty database version 1\. Fix and force version\.", 10)
    program.wait_for_line(_UP, 10)
    assert (container.get("/healthz"), container.get("/ready")) == (200, 503)


def test_a_newer_release_migrates_further(make: Make, mysql: MysqlServer, database: MysqlURL) -> None:
    make()[1].wait_for_line(_UP, 10)
    _, program = make(STANDIN_SCHEMA_VERSION="5")
    program.wait_for_line("running migration 4 of 5", 10)
    program.wait_for_line(_UP, 10)
    assert _schema(mysql, database) == [(5, 0)]


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"MYSQL": "mysql://user:password@127.0.0.1:1/db"}, r"panic: dial tcp 127\.0\.0\.1:1: connect: connection ref"),
        ({"BUCKET": "gcs://bucket"}, "panic: unknown connection scheme"),
        ({"STANDIN_PANIC": "NoSuchBucket"}, "panic: NoSuchBucket"),
    ],
)
def test_stays_up_without_being_ready_after_a_fatal_error(make: Make, settings: dict[str, str], line: str) -> None:
    container, program = make(**settings)
    program.wait_for_line(line, 10)
    program.wait_for_line("!!! Unable to start backend, see logs", 10)
    program.wait_for_line(_UP, 10)
    assert (container.get("/healthz"), container.get("/ready")) == (200, 503)


def test_reads_a_raw_plus_in_a_password_as_a_space(make: Make, mysql: MysqlServer, database: MysqlURL) -> None:
    mysql.execute("CREATE USER plus@'%%' IDENTIFIED BY %s", "a+b")
    raw = f"mysql://plus:a+b@{database.host}:{database.port}/{database.database}"
    make(MYSQL=raw)[1].wait_for_line("panic: Error 1045: Access denied", 10)


def test_switches(make: Make) -> None:
    container, program = make()
    program.wait_for_line(_UP, 10)

    assert container.switch("hang") == 200
    with pytest.raises(requests.ReadTimeout):
        container.get("/healthz", timeout=0.2)
    assert container.switch("recover") == 200
    assert container.get("/healthz") == 200

    assert container.switch("unready") == 200
    assert container.get("/ready") == 503
    assert container.switch("ready") == 200
    assert container.get("/ready") == 200

    assert container.switch("log?lines=2&bytes=50") == 200
    program.wait_for_line(r'"message":"line 1 \.{43}"', 10)

    assert container.switch("panic") == 200
    program.wait_for_line("panic: runtime error", 10)
    assert (container.get("/healthz"), container.get("/ready")) == (200, 503)

    with pytest.raises(requests.ConnectionError):
        container.switch("crash?code=3")
    assert program.process.wait(10) == 3


def test_out_of_memory_leaves_the_status_of_a_kill(make: Make) -> None:
    container, program = make()
    program.wait_for_line(_UP, 10)
    with pytest.raises(requests.ConnectionError):
        container.switch("oom")
    assert program.process.wait(10) in {137, -signal.SIGKILL}


@pytest.mark.usefixtures("mysql")
def test_needs_group_0_for_another_user(tmp_path: Path) -> None:
    tree = tmp_path / "container"
    run(["cp", "-a", str(image_tree()), str(tree)])
    result = run(["chroot", "--userspec=100000:100000", str(tree), "/sbin/my_init"], check=False)
    assert result.returncode == 1
    assert "PermissionError: [Errno 13] Permission denied: '/etc/container_environment/" in result.stderr
