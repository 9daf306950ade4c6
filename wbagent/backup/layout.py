"""Names of what a backup consists of: OWNER/backups/ID/ with the objects of its data and, written last, manifest.json.

The database is one stream: `database.sql` (mysqldump), `datadir.tar` (clone) or `mydumper.tar`. An embedded server's
files are another, `files.tar`. The name says how it is stored: `.zst` is zstd, `.age` behind it age. (`mydumper.tar`
holds files that are compressed each for itself.) A long stream goes on in further objects, whose names have a number at
the end: `datadir.tar.zst`, `datadir.tar.zst.00002` and so on, so that sorted by name they are in order.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

DUMP: Final = "database.sql"
DATADIR: Final = "datadir.tar"
MYDUMPER: Final = "mydumper.tar"
FILES: Final = "files.tar"
COMPRESSED: Final = ".zst"
MANIFEST: Final = "manifest.json"
PROOF: Final = "proof.json"
_FORMAT: Final = "%Y%m%dT%H%M%SZ"
_ID: Final = re.compile(r"\d{8}T\d{6}Z")


def backup_id(now: float) -> str:
    """The id of a backup begun at wall-clock time `now`: UTC, so ids sort by time, such as "20261124T030000Z"."""
    return datetime.fromtimestamp(now, UTC).strftime(_FORMAT)


def is_backup_id(text: str) -> bool:
    """Whether `text` has the form of an id."""
    return _ID.fullmatch(text) is not None


def begun_at(name: str) -> datetime | None:
    """When the backup of this id was begun; None for digits that are no time."""
    try:
        return datetime.strptime(name, _FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return None


def owner_prefix(owner: str) -> str:
    """The prefix of all backups of `owner`; it ends in "/", so that node1 never means node10 too."""
    return f"{owner}/backups/"


def object_key(owner: str, name: str, file: str) -> str:
    """The key of one object of backup `name`."""
    return f"{owner_prefix(owner)}{name}/{file}"


def piece_name(file: str, number: int) -> str:
    """The name of the object with this number, from 0, of the stream `file`."""
    return f"{file}.{number + 1:05}" if number else file


def manifest_key(owner: str, name: str) -> str:
    """The key of the commit record of backup `name`."""
    return object_key(owner, name, MANIFEST)


def proof_key(owner: str, name: str) -> str:
    """The key of what the newest drill of backup `name` found."""
    return object_key(owner, name, PROOF)


def lease_prefix(owner: str) -> str:
    """The prefix of all leases on backups of `owner`, each named ID-RANDOM."""
    return f"{owner}/leases/"
