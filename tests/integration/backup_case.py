"""What the tests of backups share: a configuration, a state directory, and runs that can be interfered with."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

from tests.testbed.faulty_store import FaultyStore
from tests.testbed.mysql import MysqlServer
from tests.testbed.mysql_clients import ClientPrograms
from tests.testbed.proxy import Proxy
from tests.testbed.sample import fill
from wbagent.backup.catalog import Stored, read_catalog
from wbagent.backup.job import Outcome, run_backup
from wbagent.backup.manifest import Manifest
from wbagent.backup.progress import Progress
from wbagent.backup.proof import Proof, manifest_digest
from wbagent.bucket.open import open_store
from wbagent.bucket.store import Store
from wbagent.config import Settings, load
from wbagent.config.dsn import S3URL, MysqlURL
from wbagent.state import State

# The smallest part that S3 takes, so that small samples are several parts.
PART_SIZE = "5M"


def ignore(_progress: Progress) -> None:
    """A reporter for runs whose progress is not looked at."""


@dataclass(frozen=True)
class Case:
    """One host's configuration and state."""

    directory: Path
    settings: Settings

    @property
    def configuration(self) -> Path:
        return self.directory / "wbagent.toml"

    @property
    def state_directory(self) -> Path:
        return self.directory / "state"

    @property
    def store(self) -> Store:
        return open_store(self.settings.backup, self.state_directory)

    def state(self) -> State:
        return State(self.state_directory / "state.db")

    def run(self, report: Callable[[Progress], None] = ignore, clock: Callable[[], float] = time.time) -> Outcome:
        """Make a backup in this process."""
        with self.state() as state:
            return run_backup(self.settings, state, self.state_directory, report, clock)

    def stored(self) -> dict[str, str]:
        """What the destination holds for this owner: id and state."""
        return {each.id: each.state for each in self.catalog()}

    def catalog(self) -> tuple[Stored, ...]:
        return read_catalog(self.store, self.settings.backup.owner)

    def command(self, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run `wbagent` as a person does."""
        return subprocess.run(
            [sys.executable, "-m", "wbagent.cli.main", "--config", self.configuration, *arguments],
            input=text,
            capture_output=True,
            text=True,
            env={**os.environ, "WBAGENT_STATE_DIRECTORY": str(self.state_directory)},
            timeout=120,
            check=False,
        )


def make_case(
    directory: Path, url: MysqlURL, clients: ClientPrograms, destination: S3URL | None = None, **backup: object
) -> Case:
    """Write a configuration and read it back as the product does; `backup` are further keys of [backup]."""
    keys: dict[str, object] = {
        "owner": "host1",
        "mysqldump": str(clients.mysqldump),
        "mysql": str(clients.mysql),
        "part_size": PART_SIZE,
        **({"destination": str(destination)} if destination else {}),
        **backup,
    }
    # Without a drill committed backups count, which is what most of these tests are about.
    tables = {"drill": {"enabled": False}} | {key: value for key, value in keys.items() if isinstance(value, dict)}
    lines = [f"{key} = {json.dumps(value)}" for key, value in keys.items() if key not in tables]
    for name, table in tables.items():
        lines += [f"[backup.{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    (directory / "state").mkdir(parents=True)
    path = directory / "wbagent.toml"
    path.touch(mode=0o600)
    path.write_text("\n".join(["[database]", f"url = {json.dumps(str(url))}", "[backup]", *lines]) + "\n")
    return Case(directory, load(path).settings)


@dataclass
class Once:
    """A reporter that does something the first time that `stage` has read something, and remembers that it did."""

    stage: str
    act: Callable[[], object]
    from_start: bool = False
    done: bool = False

    def __call__(self, progress: Progress) -> None:
        if not self.done and progress.stage == self.stage and (progress.read or self.from_start):
            self.done = True
            self.act()


def child(name: str) -> psutil.Process:
    """The running program `name` that this process started."""
    return next(
        each for each in psutil.Process().children(recursive=True) if any(name in part for part in each.cmdline())
    )


def proof_of(record: Manifest, *, ok: bool) -> Proof:
    """What a drill would have found of it; a bad one differs in the table runs."""
    ended = datetime.now(UTC)
    return Proof(
        id=record.id,
        owner=record.owner,
        ok=ok,
        reason="" if ok else "table runs differs",
        manifest_sha256=manifest_digest(record),
        host="db1",
        server="9.7.4",
        started_at=ended,
        finished_at=ended,
        duration_s=1.0,
    )


def processes_that_show(secret: str) -> list[str]:
    """Which processes of this machine have `secret` in their arguments or environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        for file in ("cmdline", "environ"):
            try:
                data = (process / file).read_bytes()
            except OSError:
                continue
            if secret.encode() in data:
                found.append(f"{process.name} {file}: {data[:200]!r}")
    return found


@dataclass(frozen=True)
class Run:
    """A backup as its unit runs it, and the socket that it tells its status to."""

    process: subprocess.Popen[bytes]
    notifications: socket.socket

    def wait_for_status(self, *words: str) -> None:
        """Return when a STATUS= line holds all of `words`; TimeoutError after a minute."""
        text = ""
        while not all(word in text for word in words):
            text = self.notifications.recv(4096).decode()


@contextmanager
def running(case: Case) -> Iterator[Run]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifications:
        path = case.state_directory / "notify"
        notifications.bind(str(path))
        notifications.settimeout(60)
        variables = {"NOTIFY_SOCKET": str(path), "WBAGENT_STATE_DIRECTORY": str(case.state_directory)}
        with subprocess.Popen(
            [sys.executable, "-m", "wbagent.cli.main", "--config", case.configuration, "backup", "run", "--in-process"],
            env={**os.environ, **variables},
            stderr=subprocess.PIPE,
        ) as process:
            try:
                yield Run(process, notifications)
            finally:
                process.kill()
        path.unlink()


@contextmanager
def reaching(case: Case, stage: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A running `wbagent` whose STATUS= says that `stage` begins."""
    path = case.directory / "killed-notify"
    command: list[str | Path] = [sys.executable, "-m", "wbagent.cli.main", "--config", case.configuration, *arguments]
    variables = {"NOTIFY_SOCKET": str(path), "WBAGENT_STATE_DIRECTORY": str(case.state_directory)}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifications:
        notifications.bind(str(path))
        notifications.settimeout(60)
        environment = {**os.environ, **variables}
        with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
            while f"STATUS={stage}:" not in notifications.recv(4096).decode():
                pass
            yield process
    path.unlink()


def killed_while(case: Case, stage: str, *arguments: str) -> list[psutil.Process]:
    """Run `wbagent` and kill it (SIGKILL) when its STATUS= says that `stage` begins; returns what it had started."""
    with reaching(case, stage, *arguments) as process:
        children = psutil.Process(process.pid).children(recursive=True)
        process.kill()
    return children


def over_store(link: Proxy | FaultyStore, bucket: S3URL) -> S3URL:
    """The bucket as it is reached over a link that fails."""
    keys = (bucket.access_key, bucket.secret_key)
    return S3URL(*keys, link.address, link.port, bucket.bucket, bucket.prefix, bucket.options)


@contextmanager
def sample_database(mysql: MysqlServer, name: str, megabytes: float) -> Iterator[MysqlURL]:
    """A filled database NAME_sample, whose account has the rights of W&B's guide and may read routines."""
    url = mysql.create(f"{name}_sample", f"{name}_user", "password")
    mysql.execute("GRANT SHOW_ROUTINE ON *.* TO %s@'%%'", url.user)
    with mysql.connect(url.database) as connection:
        fill(connection, megabytes)
    yield url
    mysql.execute(f"DROP DATABASE `{url.database}`")
    mysql.execute("DROP USER %s@'%%'", url.user)
