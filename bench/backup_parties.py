"""The ways to back up and restore one database that are compared: wbagent's engines, two pipes, and a copy."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from bench.sample_data import DATABASE
from bench.usage import Command, Usage, run_pipeline
from tests.testbed.ceph import REGION, Ceph
from tests.testbed.command import run
from tests.testbed.errors import BedError
from tests.testbed.mysql import MysqlServer
from tests.testbed.mysql_clients import ClientPrograms
from tests.testbed.program import inside
from tests.testbed.rootfs import Recipe, root_file_system
from wbagent.config.dsn import MysqlURL

BUCKET = "backups"
AWS = Recipe("aws", "trixie", "awscli")


@dataclass(frozen=True)
class Place:
    """What all parties work with; `scratch` is on the same file system as the servers' data."""

    server: MysqlServer
    url: MysqlURL
    store: Ceph
    clients: ClientPrograms
    mysqld: Path
    scratch: Path
    clones: Path


class Party(Protocol):
    """One way there and back."""

    @property
    def name(self) -> str:
        """As DESIGN.md calls it."""

    def back_up(self) -> Usage:
        """Take a backup of the running server."""

    def stored_bytes(self) -> int:
        """What the newest one takes up where it is."""

    def restore(self) -> Usage:
        """Bring the newest one to a data directory or an empty server, which are made before the clock starts."""


@dataclass
class Wbagent:
    """One of wbagent's engines, as its unit runs it."""

    place: Place
    engine: str
    made: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"wbagent-{self.engine}"

    def back_up(self) -> Usage:
        usage = run_pipeline(self.command("backup", "run", "--in-process"))
        answer = run(self.command("backup", "show", "latest", "--json").argv, timeout=120)
        self.made = json.loads(answer.stdout)
        if self.made["engine"] != self.engine:
            raise BedError(f"{self.made['engine']} was taken: {self.made['engine_reason']}")
        return usage

    def stored_bytes(self) -> int:
        return sum(int(each["size"]) for each in self.made["objects"])

    def restore(self) -> Usage:
        if self.engine == "clone":
            target = self.place.scratch / "restored"
            shutil.rmtree(target, ignore_errors=True)
            target.mkdir()
            # mysqld does not run as root, and this machine need not have a user mysql.
            shutil.chown(target, "nobody", "nogroup")
            return run_pipeline(self.command("restore", str(self.made["id"]), "--datadir", str(target)))
        with empty_server() as url:
            return run_pipeline(self.command("restore", str(self.made["id"]), "--into", str(url)))

    def command(self, *arguments: str) -> Command:
        directory = self.place.scratch / self.name
        directory.mkdir(exist_ok=True)
        configuration = directory / "wbagent.toml"
        configuration.touch(mode=0o600)
        keys = {
            "owner": self.name,
            "engine": self.engine,
            "destination": str(self.place.store.url(BUCKET)),
            "mysqldump": str(self.place.clients.mysqldump),
            "mysql": str(self.place.clients.mysql),
            "clone_directory": str(self.place.clones),
            **(
                {key: os.environ[f"WBAGENT_{key.upper()}"] for key in ("mydumper", "myloader")}
                if self.engine == "mydumper"
                else {}
            ),
            "keep_at_least": 1,
        }
        lines = [f"{key} = {json.dumps(value)}" for key, value in keys.items()]
        drill = ["[backup.drill]", f"mysqld = {json.dumps(str(self.place.mysqld))}"]
        text = "\n".join(["[database]", f"url = {json.dumps(str(self.place.url))}", "[backup]", *lines, *drill])
        configuration.write_text(text + "\n")
        variables = (
            ("WBAGENT_STATE_DIRECTORY", str(directory)),
            ("PYTHONPATH", str(Path.cwd())),
            # As in units/wbagent-backup.service.
            ("MALLOC_MMAP_THRESHOLD_", "262144"),
        )
        # Nice=10 too: the database and its users come first. A restore is in a hurry.
        nice = ["nice", "-n", "10"] if arguments[0] == "backup" else []
        argv = [*nice, sys.executable, "-m", "wbagent.cli.main", "--config", str(configuration), *arguments]
        return Command(argv, variables)


@dataclass
class Pipe:
    """What many have in a cron job: mysqldump | zstd -3 | aws s3 cp, with the exit status of each looked at."""

    place: Place
    name: str = "mysqldump-pipe"

    def back_up(self) -> Usage:
        url = self.place.url
        options = ["--single-transaction", "--quick", "--hex-blob", "--routines", "--events", "--triggers"]
        way = [f"--host={url.host}", f"--port={url.port}", f"--user={url.user}"]
        dump = [str(self.place.clients.mysqldump), *way, *options, "--no-tablespaces", DATABASE]
        # Some minutes of a bench: the password may stand in the environment here.
        password = (("MYSQL_PWD", url.password),)
        return run_pipeline(Command(dump, password), Command(["zstd", "-3", "-T2"]), self._aws("-", self._object))

    def stored_bytes(self) -> int:
        return size_of(self.place.store, "pipe/")

    def restore(self) -> Usage:
        with empty_server() as url:
            load = [str(self.place.clients.mysql), f"--host={url.host}", f"--port={url.port}", f"--user={url.user}"]
            create = Command([*load, "-e", f"CREATE DATABASE {url.database}"], (("MYSQL_PWD", url.password),))
            run_pipeline(create)
            fill = Command([*load, url.database], (("MYSQL_PWD", url.password),))
            return run_pipeline(self._aws(self._object, "-"), Command(["zstd", "-d"]), fill)

    @property
    def _object(self) -> str:
        return f"s3://{BUCKET}/pipe/dump.sql.zst"

    def _aws(self, source: str, target: str) -> Command:
        return aws(self.place, "s3", "cp", "--only-show-errors", source, target)


@dataclass
class Mydumper:
    """mydumper into a directory, compressing by itself, then aws s3 cp of the directory; back by myloader."""

    place: Place
    name: str = "mydumper"

    def back_up(self) -> Usage:
        directory = self._fresh()
        # Without these two it does not know Debian's build of 9.7, and crashes on its EXPLAIN: decision 20.
        options = self.place.scratch / "mydumper.cnf"
        options.write_text("[mydumper_session_variables]\nexplain_format = TRADITIONAL\n")
        ((version,),) = self.place.server.execute("SELECT VERSION()")
        dump = Command(
            [
                os.environ["WBAGENT_MYDUMPER"],
                f"--defaults-file={options}",
                f"--server-version=mysql-{str(version).partition('-')[0]}",
                *self._way(self.place.url),
                "--outputdir",
                str(directory),
                "--database",
                DATABASE,
                "--compress",
                "ZSTD",
                "--threads",
                "2",
                "--routines",
                "--events",
                "--triggers",
            ]
        )
        upload = aws(self.place, "s3", "cp", "--only-show-errors", "--recursive", "/mnt/mydumper", self._prefix)
        return run_pipeline(dump).then(run_pipeline(upload))

    def stored_bytes(self) -> int:
        return size_of(self.place.store, "mydumper/")

    def restore(self) -> Usage:
        directory = self._fresh()
        fetch = aws(self.place, "s3", "cp", "--only-show-errors", "--recursive", self._prefix, "/mnt/mydumper")
        with empty_server() as url:
            load = [os.environ["WBAGENT_MYLOADER"], *self._way(url), "--directory", str(directory), "--threads", "2"]
            return run_pipeline(fetch).then(run_pipeline(Command(load)))

    def _fresh(self) -> Path:
        directory = self.place.scratch / "mydumper"
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        return directory

    @property
    def _prefix(self) -> str:
        return f"s3://{BUCKET}/mydumper/"

    def _way(self, url: MysqlURL) -> list[str]:
        return ["--host", url.host, "--port", str(url.port), "--user", url.user, "--password", url.password]


@dataclass
class Copy:
    """The limit: the data directory of a server that is stopped, copied to a directory of the same disk, and back."""

    place: Place
    name: str = "copy"

    def back_up(self) -> Usage:
        self.place.server.stop()
        try:
            return self._copy(self.place.server.directory / "data", self._there)
        finally:
            self.place.server.start()

    def stored_bytes(self) -> int:
        return sum(path.lstat().st_size for path in self._there.rglob("*") if path.is_file())

    def restore(self) -> Usage:
        return self._copy(self._there, self.place.scratch / "restored")

    @property
    def _there(self) -> Path:
        return self.place.scratch / "copied"

    def _copy(self, source: Path, target: Path) -> Usage:
        shutil.rmtree(target, ignore_errors=True)
        return run_pipeline(Command(["cp", "-a", str(source), str(target)])).then(run_pipeline(Command(["sync"])))


@contextmanager
def empty_server() -> Iterator[MysqlURL]:
    """A second server with an administrator, and the name of a database that does not exist yet."""
    with MysqlServer() as server:
        server.create("unused", "admin", "password")
        server.execute("GRANT ALL ON *.* TO admin@'%' WITH GRANT OPTION")
        yield server.url("admin", DATABASE)


def aws(place: Place, *arguments: str) -> Command:
    """Amazon's own client from a tree of Debian 13, in which the scratch directory is /mnt."""
    keys = place.store.credentials
    environment = (
        ("AWS_ACCESS_KEY_ID", keys.access_key),
        ("AWS_SECRET_ACCESS_KEY", keys.secret_key),
        ("AWS_DEFAULT_REGION", REGION),
        ("AWS_ENDPOINT_URL", place.store.endpoint_url),
    )
    return Command(inside(root_file_system(AWS), place.scratch, ["aws", *arguments]), environment)


def size_of(store: Ceph, prefix: str) -> int:
    """Bytes of all objects below a prefix."""
    pages = store.client().get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
    return sum(entry["Size"] for page in pages for entry in page.get("Contents", ()))
