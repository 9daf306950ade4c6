"""What `wbagent server externalize` does: carries the steps out, shows them, and goes back when one fails."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Self

import click

from wbagent.backup.catalog import find_backup
from wbagent.backup.manifest import Manifest
from wbagent.bucket.copying import Bucket, copy_objects
from wbagent.bucket.open import open_store
from wbagent.cli.progress import progress_reporter
from wbagent.cli.restore import mysql_url, s3_url
from wbagent.config import Loaded
from wbagent.config import embedded as own
from wbagent.config.dsn import S3URL, MysqlURL
from wbagent.config.externalized import externalized, is_embedded
from wbagent.config.rewrite import write_like
from wbagent.database.connection import session
from wbagent.database.facts import read_server
from wbagent.database.schema import read_database
from wbagent.database.target import check_target, empty_database
from wbagent.errors import (
    AccessError,
    BackupError,
    BucketError,
    ConfigError,
    DatabaseError,
    DockerError,
    StateError,
    WbagentError,
)
from wbagent.errors import UsageError as Refused
from wbagent.quantities import format_size
from wbagent.restore.run import restore_backup
from wbagent.server import door
from wbagent.server.crossing import LINK, port_into
from wbagent.server.externalize import (
    Record,
    Step,
    forget_record,
    read_record,
    record_path,
    steps,
    steps_back,
    write_record,
)
from wbagent.server.resolving import look_up, unseen
from wbagent.state_directory import state_directory
from wbagent.systemd.bus import Bus, Verb
from wbagent.systemd.jobs import run_job, run_unit
from wbagent.systemd.unit_names import AGENT_UNIT, BACKUP_UNIT, SERVER_UNIT, UPGRADE_UNIT

_WHY: Final = "wbagent server externalize is moving it; if that was interrupted, run it again, or with --undo"
_KEPT: Final = ".embedded"


@dataclass(frozen=True, slots=True)
class Ends:
    """Where to, and where from: `own_bucket` as the container sees it."""

    mysql: MysqlURL
    bucket: S3URL
    own_bucket: S3URL

    @classmethod
    def parse(cls, mysql: str, bucket: str, own_bucket: str) -> Self:
        """Read the options; raises UsageError."""
        database = mysql_url("--mysql", mysql)
        if database.socket:
            raise Refused("--mysql: the container sees no socket of this host", hint=f"as {MysqlURL.example}")
        return cls(database, s3_url("--bucket", bucket), s3_url("--own-bucket", own_bucket))

    def refuse_unseen(self) -> None:
        """Raise UsageError for a name that the server's container does not find, and say which it may not find."""
        for option, host in (("--mysql", self.mysql.host), ("--bucket", self.bucket.host)):
            trouble = unseen(look_up(host)) if host else None
            if trouble and trouble.sure:
                raise Refused(f"{option}: {trouble.said}", hint=trouble.remedy)
            if trouble:
                click.echo(f"note: {option}: {trouble.said}: {trouble.remedy}")


def move(loaded: Loaded, ends: Ends, *, only_check: bool) -> None:
    """Do what is still to be done; when a step before the switch fails, the embedded server serves again."""
    record = _record()
    todo = steps(record, embedded=_embedded(loaded))
    if not todo:
        raise Refused("the server is not an embedded one: there is nothing to move out")
    if record and (record.database, record.bucket) != (ends.mysql.address, ends.bucket.address):
        raise Refused(
            f"a run that was interrupted moves to {record.database} and {record.bucket}",
            hint="name the same in --mysql and --bucket, or: wbagent server externalize --undo",
        )
    if record:
        click.echo("an earlier run was interrupted; this one completes it")
    work = _Work(loaded, ends, record or Record(ends.mysql.address, ends.bucket.address, _kept(loaded)))
    if Step.CLOSE in todo:
        work.check(again=record is not None)
    if only_check:
        click.echo("everything is as it has to be; nothing was changed")
        return
    write_record(work.record)
    try:
        work.carry_out(todo)
    except (WbagentError, OSError, KeyboardInterrupt):
        if work.step is not Step.OPEN:
            click.echo(f"this failed: {work.step.value if work.step else ''}", err=True)
            work.carry_out(steps_back(work.record, embedded=not work.switched(), closed=True))
            if not work.record.filling:
                forget_record()
            click.echo("the embedded server serves again, as before; the next run begins anew", err=True)
        raise
    forget_record()
    volume = loaded.settings.server.volume if loaded.settings.server else ""
    click.echo(f"the server uses {ends.mysql.address} and {ends.bucket.address} now")
    click.echo(
        f"the old data stays in the volume {volume!r} (mysql/, minio/); the old configuration: {work.record.kept}"
    )


def undo(loaded: Loaded) -> None:
    """Go back to the embedded server after an interruption."""
    record = _record()
    todo = steps_back(record, embedded=_embedded(loaded), closed=bool(door.closed()))
    if record is not None and not todo:
        forget_record()
        raise Refused("the server has moved and was opened to its users: going back would lose what they did since")
    if record is None:
        raise Refused("no run of externalize was interrupted: there is nothing to undo")
    _Work(loaded, None, record).carry_out(todo)
    forget_record()
    filled = f" {record.database} is half-filled: empty it before it is used." if record.filling else ""
    click.echo(f"the embedded server serves again.{filled}")


class _Work:
    """The steps, with what they share."""

    def __init__(self, loaded: Loaded, ends: Ends | None, record: Record) -> None:
        self._settings = loaded.settings
        self._path = Path(loaded.origins[("server", "embedded")].source) if _embedded(loaded) else None
        self._ends = ends
        self.record = record
        self.step: Step | None = None
        self._backup: Manifest | None = None

    def carry_out(self, todo: Iterable[Step]) -> None:
        """One step after the other; `step` is the one that is under way."""
        does: dict[Step, Callable[[], None]] = {
            Step.CLOSE: self._close,
            Step.BACK_UP: self._back_up,
            Step.EMPTY: lambda: empty_database(self._targets.mysql),
            Step.COPY_DATABASE: self._copy_database,
            Step.COPY_OBJECTS: self._copy_objects,
            Step.SWITCH: self._switch,
            Step.TRY: _restart,
            Step.SWITCH_BACK: self._switch_back,
            Step.OPEN: self._open,
        }
        for self.step in todo:
            click.echo(self.step.value)
            does[self.step]()

    def check(self, *, again: bool) -> None:
        """Raise before anything is changed; `again`: what an interrupted run left is no obstacle."""
        if self._settings.database is not None or not self._settings.backup.enabled:
            raise ConfigError("the move goes through a backup of the embedded database, which is switched off",
                              hint="take [database] out and set [backup] enabled = true")  # fmt: skip
        with Bus() as bus:
            if bus.properties(UPGRADE_UNIT).get("ActiveState") == "activating":
                raise Refused("an upgrade of the server is under way", hint="wbagent server upgrade --status")
        targets = self._targets
        targets.refuse_unseen()
        self._edited()
        with session(own.MYSQL) as connection:
            server = read_server(connection)
            size = read_database(connection, own.MYSQL.database, server.version).size
        click.echo(f"the embedded MySQL {server.version_text} answers: {format_size(size)}")
        if self._settings.backup.destination is None and shutil.disk_usage(state_directory()).free < 2 * size:
            raise BackupError("the disk has no room for the last backup", hint="set [backup] destination, or make room")
        found = check_target(targets.mysql, server.version)
        if not found.empty and not (again and self.record.filling):
            raise DatabaseError(f"the database {targets.mysql.address} is not empty", hint="name an empty one")
        bucket = Bucket(targets.bucket)
        bucket.probe()
        if (objects := len(bucket.sizes())) and not again:
            raise BucketError(
                f"{bucket.address} is not empty ({objects} objects)", hint="name an empty bucket or prefix"
            )
        with self._own_bucket() as inside:
            sizes = inside.sizes()
        click.echo(f"the embedded bucket answers: {len(sizes)} objects, {format_size(sum(sizes.values()))}")

    @property
    def _targets(self) -> Ends:
        if self._ends is None:
            raise Refused("--undo copies nothing")
        return self._ends

    @contextmanager
    def _own_bucket(self) -> Iterator[Bucket]:
        """The embedded object store, reached through the container's network."""
        url = self._targets.own_bucket
        with port_into(LINK, url.port or 9000) as port:
            yield Bucket(replace(url, host="127.0.0.1", port=port))

    def _close(self) -> None:
        door.close(_WHY)
        _restart()

    def _back_up(self) -> None:
        result = run_unit(BACKUP_UNIT, lambda line: None)
        if not result.ok:
            raise BackupError(f"the last backup failed ({result.result})", hint="journalctl -u wbagent-backup")
        store = open_store(self._settings.backup, state_directory())
        self._backup = find_backup(store, self._settings.backup.owner, "latest")
        if self._backup.files is None:
            raise BackupError("the newest backup is not of the embedded server", hint="wbagent backup show latest")
        click.echo(f"  {self._backup.id}: {len(self._backup.tables)} tables, {self._backup.files.members} files")

    def _copy_database(self) -> None:
        self.record = replace(self.record, filling=True)
        write_record(self.record)
        store = open_store(self._settings.backup, state_directory(), patient=True)
        name = self._backup.id if self._backup else "latest"
        with progress_reporter() as report:
            done = restore_backup(store, self._settings.backup, name, self._targets.mysql, report)
        click.echo(f"  {done.tables} tables; the rows of {done.compared.counted} counted and equal")

    def _copy_objects(self) -> None:
        with self._own_bucket() as inside:
            copied = copy_objects(inside, Bucket(self._targets.bucket), lambda done, of: None)
        click.echo(f"  {copied.objects} objects, {format_size(copied.size)}, read back and equal")

    def _edited(self) -> tuple[Path, str, str]:
        if self._path is None or not self._path.is_file():
            raise ConfigError("[server] embedded is not set in a file", hint="set it in /etc/wbagent.toml")
        text = self._path.read_bytes().decode("utf-8")
        return self._path, text, externalized(text, self._targets.mysql, self._targets.bucket)

    def _switch(self) -> None:
        path, text, edited = self._edited()
        write_like(Path(self.record.kept), text, like=path)
        write_like(path, edited, like=path)

    def _switch_back(self) -> None:
        path, kept = self._switched_file(), Path(self.record.kept)
        write_like(path, kept.read_bytes().decode("utf-8"), like=path)

    def _switched_file(self) -> Path:
        kept = Path(self.record.kept)
        return kept.with_name(kept.name.removesuffix(_KEPT))

    def switched(self) -> bool:
        """Whether the file says so, wherever the run was interrupted."""
        return not is_embedded(self._switched_file().read_text(encoding="utf-8"))

    def _open(self) -> None:
        door.reopen()
        _restart()
        run_job(Verb.RELOAD, AGENT_UNIT)


def _restart() -> None:
    """Restart the server and wait until it is ready; raises DockerError when it does not get there."""
    if (state := run_job(Verb.RESTART, SERVER_UNIT))["ActiveState"] != "active":
        raise DockerError(
            f"the server did not get ready: {SERVER_UNIT} is {state['ActiveState']} ({state['Result']})",
            hint="wbagent server history 1",
        )


def _record() -> Record | None:
    if os.geteuid() != 0:
        raise AccessError("only root may move the server", hint="run this as root (sudo)")
    try:
        return read_record()
    except ValueError:
        raise StateError(
            f"{record_path()} is damaged, so it is not known what was begun",
            hint=f"look whether the server is closed (wbagent status), then remove {record_path()}",
        ) from None


def _embedded(loaded: Loaded) -> bool:
    return loaded.settings.server is not None and loaded.settings.server.embedded


def _kept(loaded: Loaded) -> str:
    origin = loaded.origins.get(("server", "embedded"))
    return f"{origin.source}{_KEPT}" if origin else ""
