"""The record of a stored piece of a binary log, written after it: where it exists, the piece does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from wbagent.binlog.events import MisreadError
from wbagent.binlog.gtid import GtidSet, parse_gtid
from wbagent.binlog.layout import FileId
from wbagent.binlog.scan import Mark, Open


def _gtids(text: str) -> str:
    GtidSet.parse(text)
    return text


_Set = Annotated[str, AfterValidator(_gtids)]


class OpenRecord(BaseModel):
    """A transaction that begins in this piece, or before it, and ends behind it."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    gtid: str
    ends_at: int
    committed_at: int
    begun: bool = False


@dataclass(frozen=True, slots=True)
class Stored:
    """A piece as it is stored, what its name ends in, and the SHA-256 of it and of what it was before."""

    suffix: str
    size: int
    sha256: str
    plain_sha256: str


class PieceRecord(BaseModel):
    """One piece: bytes `start` to `end` of a file, and what is true of that file at `end`.

    `executed`: every transaction that is complete there, `previous` those of before the file. Times are of commits, in
    microseconds since the epoch, the first and last of the whole file so far, 0 for none. `next_file` is set in the
    last piece of a file. `size` and `sha256` are of what is stored, under the record's own name with `suffix`.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    format: Literal[1] = 1
    server_uuid: str
    server_version: str
    file: str
    created: int
    start: int = Field(ge=0)
    end: int = Field(gt=0)
    suffix: str = Field(pattern=r"^\.[a-z.]+$")
    size: int = Field(gt=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    plain_sha256: str = Field(pattern="^[0-9a-f]{64}$")
    previous: _Set
    executed: _Set
    open: OpenRecord | None = None
    first_at: int
    last_at: int
    next_file: str = ""

    @classmethod
    def made(cls, file: FileId, version: str, start: int, mark: Mark, stored: Stored) -> Self:
        """The record of the piece of `file` that begins at `start` and leads to `mark`."""
        half = mark.open
        return cls(
            server_uuid=file.uuid,
            server_version=version,
            file=file.name,
            created=file.created,
            start=start,
            end=mark.end,
            suffix=stored.suffix,
            size=stored.size,
            sha256=stored.sha256,
            plain_sha256=stored.plain_sha256,
            previous=str(mark.previous),
            executed=str(mark.executed),
            open=OpenRecord(gtid=str(half.gtid), ends_at=half.ends_at, committed_at=half.committed_at, begun=half.begun)
            if half
            else None,
            first_at=mark.first_at,
            last_at=mark.last_at,
            next_file=mark.next_file,
        )

    def mark(self) -> Mark:
        """The state at its end, to go on from."""
        half = self.open
        return Mark(
            end=self.end,
            created=self.created,
            previous=GtidSet.parse(self.previous),
            executed=GtidSet.parse(self.executed),
            open=Open(parse_gtid(half.gtid), half.ends_at, half.committed_at, half.begun) if half else None,
            first_at=self.first_at,
            last_at=self.last_at,
            next_file=self.next_file,
        )

    def to_bytes(self) -> bytes:
        """The JSON text that is stored."""
        return (self.model_dump_json() + "\n").encode()


def parse_record(data: bytes, key: str) -> PieceRecord:
    """Read a stored record; raises MisreadError."""
    try:
        return PieceRecord.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise MisreadError(f"the record {key} cannot be read: {first['msg']}") from None
