"""The server's history: one JSON line for each time it became ready and for each end, with the evidence."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from wbagent.server.diagnosis import diagnose
from wbagent.state_directory import state_directory

# About a year of a server that is restarted daily; a crash loop must not fill the disk.
_KEPT_LINES: Final = 500
# So many more may gather before the oldest are cut off: only then is everything written again.
_SPARE_LINES: Final = 100


class Reason(StrEnum):
    """Why a container ended, or could not begin."""

    READY = "ready"
    EXITED = "exited"
    OUT_OF_MEMORY = "out of memory"
    LIVENESS_LOST = "liveness lost"
    BUDGET_SPENT = "start-up budget spent"
    STOPPED = "stopped"
    NOT_STARTED = "not started"
    PORT_TAKEN = "port taken"
    IMAGE_MISSING = "image missing"
    DOCKER_AWAY = "Docker away"
    FOREIGN_CONTAINER = "foreign container"
    SPECIFICATION_REFUSED = "specification refused"
    RUNNER_DIED = "runner died"
    REFUSED = "configuration refused"
    REMOVED = "removed by hand"
    PORT_LOST = "published port lost"
    UNREADY = "readiness lost"
    READY_AGAIN = "readiness back"


# Told of a container that goes on: neither begins nor ends an outage.
_OF_ONE_RUN: Final = frozenset({Reason.UNREADY, Reason.READY_AGAIN})


@dataclass(frozen=True, slots=True)
class Record:
    """One line. `at` is wall-clock seconds; `invocation` is systemd's INVOCATION_ID of the unit's run.

    `detail` is a sentence for people; `exit_code` is the container's, None when there was none. `probe` is the last
    answer as a sentence; `log` the container's last lines. `seconds` is how long it served (or took to become ready;
    of lost readiness: for how long it had been lost, or was in all).
    `noticed_late`: it ended some time before `at`. Of a READY one, `digest` is the hash of the specification that runs,
    and `systemd_cgroups` what of it Docker decides.
    """

    at: float
    reason: Reason
    detail: str
    invocation: str
    exit_code: int | None = None
    oom_killed: bool = False
    probe: str = ""
    log: tuple[str, ...] = ()
    image: str = ""
    container: str = ""
    seconds: float = 0.0
    noticed_late: bool = False
    digest: str = ""
    systemd_cgroups: bool = False

    def sentence(self) -> str:
        """Why it ended, for a status page or an alert: with the remedy where it is known, else the last line."""
        if known := diagnose([self.detail, *self.log]):
            return f"{self.reason}; {self.detail}; {known.cause}: {known.remedy}"
        last = next((line for line in reversed(self.log) if line.strip()), "")
        return f"{self.reason}; {self.detail}" + (f"; its last line: {last[:200]}" if last else "")

    @property
    def is_end(self) -> bool:
        """Whether this tells an end that nobody asked for."""
        return self.reason not in {Reason.READY, Reason.STOPPED, *_OF_ONE_RUN}

    @property
    def of_one_run(self) -> bool:
        """Whether the container went on: neither a start nor an end."""
        return self.reason in _OF_ONE_RUN


def history_path() -> Path:
    """Where the history is: the runner (a dynamic user) writes there by its group."""
    return state_directory() / "server" / "history.jsonl"


# What was read last, and of which state of the file: appended to or renamed, it is never the same.
_read: dict[Path, tuple[tuple[int, ...], tuple[Record, ...]]] = {}


def append(record: Record, path: Path | None = None) -> None:
    """Add one record; the oldest go when there are more than a few hundred. Raises OSError."""
    path = path or history_path()
    line = json.dumps(asdict(record), ensure_ascii=False).encode() + b"\n"
    with path.with_name("history.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        content = path.read_bytes() if path.exists() else b""
        # A full disk or a kill leaves half a line at most, which readers pass over; the next record is not put to it.
        whole = content.endswith(b"\n") or not content
        if whole and content.count(b"\n") < _KEPT_LINES + _SPARE_LINES:
            # The file may be of another dynamic user's; its directory is the group's.
            with suppress(PermissionError):
                _write(path, "ab", line)
                return
        kept = content.splitlines(keepends=True)[-_KEPT_LINES + 1 :]
        # Written anew and renamed: the old history or the new one.
        fresh = path.with_name("history.new")
        _write(fresh, "wb", b"".join([*kept, b"" if whole else b"\n", line]))
        fresh.rename(path)


def _write(path: Path, mode: str, content: bytes) -> None:
    with path.open(mode) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def last(path: Path | None = None) -> Record | None:
    """The newest start or end; every start of the server asks for it, so older ones are not looked at."""
    path = path or history_path()
    try:
        rest = path.read_bytes()
    except FileNotFoundError:
        return None
    while rest:
        rest, _, line = rest.rstrip(b"\n").rpartition(b"\n")
        if found := newest(_records([line.decode(errors="replace")])):
            return found
    return None


def read(path: Path | None = None) -> tuple[Record, ...]:
    """All records, oldest first; none when there is no history. Raises PermissionError."""
    path = path or history_path()
    try:
        # A byte that a disk has spoilt costs its line, and not the agent that reads this every few seconds.
        with path.open(encoding="utf-8", errors="replace") as file:
            found = os.fstat(file.fileno())
            state = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
            if _read.get(path, ((), ()))[0] != state:
                # The agent asks every few seconds, and a crash loop leaves hundreds of lines.
                _read.clear()
                _read[path] = state, tuple(_records(file))
            return _read[path][1]
    except FileNotFoundError:
        return ()


def newest(records: Iterable[Record]) -> Record | None:
    """The newest start or end: what the server is now, up to systemd's own word."""
    return next((record for record in reversed(tuple(records)) if not record.of_one_run), None)


def unready(records: Sequence[Record]) -> Record | None:
    """The record of the readiness that is lost now, for long; None when it is not."""
    return records[-1] if records and records[-1].reason is Reason.UNREADY else None


def _records(lines: Iterable[str]) -> Iterable[Record]:
    for line in lines:
        try:
            fields = json.loads(line)
            record = Record(**fields | {"reason": Reason(fields["reason"]), "log": tuple(fields["log"])})
        except (ValueError, KeyError, TypeError):
            # Left half by an editor or a dying disk, or written by a newer release: the others are worth reading.
            continue
        yield record
