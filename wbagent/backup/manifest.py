"""The commit record of a backup: what it holds, how it was made, and the checksums that prove it."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from wbagent.errors import BackupError

FORMAT: Final = 1


class _Record(BaseModel):
    # A record of a newer release may say more; what it says must still be of the right kind.
    model_config = ConfigDict(extra="ignore", frozen=True)


class TableRecord(_Record):
    """One table; `rows` is exact for the moment of the dump, or None when that could not be proven."""

    name: str
    engine: str
    rows: int | None
    rows_estimate: int


class Position(_Record):
    """Where the binary log stood at the moment of the dump."""

    gtid_set: str | None
    file: str
    offset: int


class ServerRecord(_Record):
    """The server that was dumped."""

    version: str
    comment: str
    host: str
    uuid: str


class DatabaseRecord(_Record):
    """The database that was dumped; a restore into a new one gives it the same character set and collation."""

    name: str
    address: str
    charset: str
    collation: str


class StoredObject(_Record):
    """A dump or an archive as it is stored (zstd) and as it was before compression; sizes in bytes."""

    size: int = Field(ge=1)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    plain_size: int = Field(ge=1)
    plain_sha256: str = Field(pattern="^[0-9a-f]{64}$")


class FilesRecord(_Record):
    """The tar of an embedded server's own files (/vol/env); `members` are its files and directories."""

    members: int
    object: StoredObject


class Manifest(_Record):
    """The whole record; where it exists, the backup does."""

    format: Literal[1] = FORMAT
    id: str
    owner: str
    host: str
    engine: Literal["mysqldump"] = "mysqldump"
    options: tuple[str, ...]
    tools: dict[str, str]
    server: ServerRecord
    database: DatabaseRecord
    position: Position | None
    tables: tuple[TableRecord, ...]
    views: tuple[str, ...]
    routines: tuple[str, ...]
    triggers: tuple[str, ...]
    events: tuple[str, ...]
    definers: tuple[str, ...] = ()
    object: StoredObject
    files: FilesRecord | None = None
    started_at: AwareDatetime
    finished_at: AwareDatetime
    duration_s: float
    warnings: tuple[str, ...]

    def to_bytes(self) -> bytes:
        """The JSON text that is stored."""
        return (self.model_dump_json(indent=1) + "\n").encode()


def parse_manifest(data: bytes, where: str) -> Manifest:
    """Read a stored record; raises BackupError that names `where` and the first thing wrong with it."""
    try:
        return Manifest.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise BackupError(
            f"the commit record {where} cannot be read: {place or 'JSON'}: {first['msg']}",
            hint="use another backup (wbagent backup list); this one may be of a newer wbagent, or damaged",
        ) from None
