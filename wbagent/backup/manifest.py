"""The commit record of a backup: what it holds, how it was made, and the checksums that prove it."""

from __future__ import annotations

from typing import Any, ClassVar, Final, Literal, TypeAlias

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)

from wbagent.errors import BackupError

# Programs that know the first one only must not take the first piece of a stream for all of it.
WHOLE: Final = 2
IN_PIECES: Final = 3
_NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"

EngineName: TypeAlias = Literal["clone", "mydumper", "mysqldump"]


class _Record(BaseModel):
    # A record of a newer release may say more; what it says must still be of the right kind.
    model_config = ConfigDict(extra="ignore", frozen=True)
    # Fields that came later are left out where they say nothing: a record of before gives the bytes that it was stored
    # with, whose digest its proof names.
    later: ClassVar[frozenset[str]] = frozenset()

    @model_serializer(mode="wrap")
    def _as_stored(self, serialized: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in serialized(self).items() if value or name not in self.later}


class TableRecord(_Record):
    """One table; `rows` is exact for the moment of the backup, or None when that could not be proven.

    `rows_estimate` is the engine's. `auto_increment` is the next one, as of before the backup: it never goes back.
    """

    later = frozenset({"auto_increment"})

    name: str
    engine: str
    rows: int | None
    rows_estimate: int
    auto_increment: int | None = None


class DefinitionRecord(_Record):
    """How an object such as "TABLE runs" or "PROCEDURE archive" is defined: a hash of SHOW CREATE's text.

    `sql_mode` is what a routine, trigger or event runs under.
    """

    object: str
    sha256: str
    sql_mode: str = ""


class Position(_Record):
    """Where the binary log stood at the moment of the backup.

    Not `exact`: everything up to there is in the backup, and more may be (a clone; its own gtid_executed says what).
    """

    gtid_set: str | None
    file: str
    offset: int
    exact: bool = True


class ServerRecord(_Record):
    """The server that was backed up; a data directory starts only with the same last three."""

    version: str
    comment: str
    host: str
    uuid: str
    lower_case_table_names: int | None = None
    page_size: int | None = None
    data_file_path: str | None = None


class DatabaseRecord(_Record):
    """The database that was dumped; a restore into a new one gives it the same character set and collation.

    `data_bytes`: what its tables took, with indexes, as their engine estimates it; 0 where nobody noted it.
    """

    name: str
    address: str
    charset: str
    collation: str
    later = frozenset({"data_bytes"})
    data_bytes: int = 0


class Piece(_Record):
    """One of the objects that a stream is stored as; size in bytes."""

    file: str = Field(pattern=_NAME)
    size: int = Field(ge=1)


class StoredObject(_Record):
    """One stream of a backup, as it is stored under the name `file` and as it was before that; sizes in bytes.

    `pieces`: where it is more than one object, all of them in order; size and checksum are of all together.
    """

    file: str = Field(pattern=_NAME)
    size: int = Field(ge=1)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    plain_size: int = Field(ge=1)
    plain_sha256: str = Field(pattern="^[0-9a-f]{64}$")
    later = frozenset({"pieces"})
    pieces: tuple[Piece, ...] = ()

    @property
    def stored(self) -> tuple[Piece, ...]:
        """The objects that hold it, in order: one or more."""
        return self.pieces or (Piece(file=self.file, size=self.size),)


class FilesRecord(_Record):
    """The object that holds an embedded server's own files (/vol/env); `members` are its files and directories."""

    file: str
    members: int


class Encryption(_Record):
    """The public keys to which the objects are encrypted; `drill` is the one-time key of this backup's drill."""

    program: Literal["age"] = "age"
    recipients: tuple[str, ...]
    drill: str


class Manifest(_Record):
    """The whole record; where it exists, the backup does. The first of its objects is the database."""

    later = frozenset({"definitions"})

    format: Literal[2, 3] = WHOLE
    id: str
    owner: str
    host: str
    engine: EngineName
    engine_reason: str = ""
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
    definitions: tuple[DefinitionRecord, ...] = ()
    objects: tuple[StoredObject, ...] = Field(min_length=1)
    files: FilesRecord | None = None
    encryption: Encryption | None = None
    started_at: AwareDatetime
    finished_at: AwareDatetime
    duration_s: float
    warnings: tuple[str, ...]

    @property
    def data(self) -> StoredObject:
        """The object that holds the database."""
        return self.objects[0]

    @property
    def stored(self) -> tuple[Piece, ...]:
        """All that is stored, beside this record."""
        return tuple(piece for each in self.objects for piece in each.stored)

    @property
    def size(self) -> int:
        """Bytes that are stored, without this record."""
        return sum(each.size for each in self.objects)

    @property
    def plain_size(self) -> int:
        """Bytes before compression."""
        return sum(each.plain_size for each in self.objects)

    def object(self, file: str) -> StoredObject:
        """The object of that name; raises BackupError when the record names none."""
        for each in self.objects:
            if each.file == file:
                return each
        raise BackupError(f"the commit record of {self.id} names no {file}", hint="use another: wbagent backup list")

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
