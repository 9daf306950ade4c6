"""The steps that move an embedded server to an external MySQL and bucket, also after an interruption.

The configuration is what decides: until its line `embedded = true` is replaced, in one rename, the embedded server is
the server and nothing that was copied counts; from then on the external ones are.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from wbagent.durable import whole_file
from wbagent.state_directory import state_directory


class Step(Enum):
    """One step, in words for the person who waits for it. Each may be done twice."""

    CLOSE = "close the server to its users"
    BACK_UP = "make a last backup of the embedded database and files"
    EMPTY = "empty the database that an interrupted run left half-filled"
    COPY_DATABASE = "restore that backup into the external database, and compare"
    COPY_OBJECTS = "copy the bucket's objects, and compare"
    SWITCH = "change the configuration"
    TRY = "start the server with it, still closed"
    SWITCH_BACK = "put the configuration back"
    OPEN = "open the server to its users"


@dataclass(frozen=True, slots=True)
class Record:
    """What a run that is under way has begun: where it copies to (no secret), where the configuration was kept.

    `filling` is set once the external database, found empty, is about to be filled by this run.
    """

    database: str
    bucket: str
    kept: str
    filling: bool = False


_ROOT: Final = 0
_MOVE: Final = (Step.CLOSE, Step.BACK_UP)
_COPY: Final = (Step.COPY_DATABASE, Step.COPY_OBJECTS, Step.SWITCH, Step.TRY, Step.OPEN)


def steps(record: Record | None, *, embedded: bool) -> tuple[Step, ...]:
    """What is still to be done, in order; () when there is nothing to move.

    Invariants: nothing is switched that was not copied by the same run while the door was closed (a run that was
    interrupted before the switch copies anew, since users may have been let in meanwhile); a database is emptied only
    when an earlier run is known to have found it empty and to have filled it; after the switch nothing is copied.
    """
    if not embedded:
        return (Step.TRY, Step.OPEN) if record else ()
    return (*_MOVE, *((Step.EMPTY,) if record and record.filling else ()), *_COPY)


def steps_back(record: Record | None, *, embedded: bool, closed: bool) -> tuple[Step, ...]:
    """How to undo what a run has begun: the embedded server, as it was, serves again. () when none has.

    Invariant: once users were let into the moved server (the door is open after the switch) there is no way back: what
    they did there would be lost.
    """
    if record is None or not (embedded or closed):
        return ()
    return (Step.OPEN,) if embedded else (Step.SWITCH_BACK, Step.OPEN)


def record_path() -> Path:
    """Where the record is."""
    return state_directory() / "server" / "externalize.json"


def read_record(*, owner: int = _ROOT) -> Record | None:
    """The record of a run that has begun and not ended. Raises OSError, and ValueError for one that is damaged.

    Only what root has written is believed: it can have a database emptied, and others may write to the directory.
    """
    try:
        descriptor = os.open(record_path(), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, encoding="utf-8") as file:
        if os.fstat(descriptor).st_uid != owner:
            raise ValueError("it is not root's")
        try:
            return Record(**json.load(file))
        except TypeError as error:
            raise ValueError(str(error)) from None


def write_record(record: Record) -> None:
    """Store it, whole or not at all. Raises OSError."""
    with whole_file(record_path(), 0o640) as file:
        file.write(json.dumps(asdict(record)).encode())


def forget_record() -> None:
    """The run has ended. Raises OSError."""
    record_path().unlink(missing_ok=True)
