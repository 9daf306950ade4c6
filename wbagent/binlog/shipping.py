"""Cuts what is in the spool into pieces at the ends of events and stores them, each with its record after it.

Killed anywhere, what is stored ends with the last record; the next run goes on behind it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

from wbagent.binlog.events import MAGIC, Event, Kind, MisreadError
from wbagent.binlog.gtid import GtidSet
from wbagent.binlog.joining import Group, Piece
from wbagent.binlog.layout import RECORD, FileId, Range
from wbagent.binlog.packing import Packing
from wbagent.binlog.record import PieceRecord, Stored
from wbagent.binlog.scan import Mark, advance
from wbagent.binlog.spool import Spool, SpooledFile
from wbagent.bucket.store import Store

# A put of this many bytes is short enough that the rest of the loop is not held up for long.
_LARGEST: Final = 8 << 20


class AnotherFileError(MisreadError):
    """The server has another file of the name of the one that was to be read on; `file` is the one that is stored."""

    def __init__(self, file: FileId) -> None:
        super().__init__(f"{file.name} is another file on the server than the one that is stored")
        self.file = file


class Shipper:
    """Ships what one run of mysqlbinlog writes into the spool.

    `stored` says how far each file is stored already, and is kept up to date. `shipped` is every transaction that is
    stored; it is `before` until the first piece of this reading is.
    """

    def __init__(
        self, store: Store, owner: str, packing: Packing, spool: Spool, stored: dict[FileId, Mark], before: GtidSet
    ) -> None:
        self._store = store
        self._owner = owner
        self._packing = packing
        self._spool = spool
        self._stored = stored
        self._reading = spool.reading()
        self._unlogged = GtidSet.parse(self._reading.unlogged if self._reading else "")
        self._file: SpooledFile | None = None
        self._id: FileId | None = None
        self._mark = Mark()
        self._cut: list[bytes] = []
        self._cut_at = 0
        self._pending: Piece | None = None
        self._group = Group()
        self.shipped = self.received = before
        self.last_at = 0
        self.bytes = 0

    @property
    def id(self) -> FileId | None:
        """The server's file that is being shipped; None before anything of it was read."""
        return self._id

    @property
    def file(self) -> str:
        """The name of the server's file that is being shipped."""
        return self._id.name if self._id else ""

    def close(self) -> None:
        """Let go of the spool's files."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def ship(self, going: Callable[[], bool] = lambda: True) -> None:
        """Store everything that is whole in the spool; raises BucketError, StateError, MisreadError, DatabaseError.

        After an error of the store nothing is lost: the next call goes on with the same piece. `going` is asked before
        each piece whether to go on.
        """
        while going():
            if self._pending is not None:
                self._put(self._pending)
                self._pending = self._group.add(self._pending)
                continue
            # Looked for before reading: once there is a newer file, what is read of this one is all of it.
            files = self._spool.files()
            if self._file is None:
                if not files or self._reading is None:
                    return
                self._open(SpooledFile(files[0], self._begins_at(files[0].name)))
            self._pending = self._next_piece()
            if self._pending is None:
                if files[-1] == self._path:
                    return
                self._spool.remove(self._path)
                self.close()
                self._pending = self._group.end()

    def _begins_at(self, name: str) -> int:
        return self._reading.position if self._reading and name == self._reading.file else len(MAGIC)

    def _open(self, file: SpooledFile) -> None:
        self._file, self._path = file, file.path
        self._id, self._mark, self._cut = None, Mark(), []

    def _next_piece(self) -> Piece | None:
        """Cut the next piece, at the latest where the spool ends now; None when nothing more is whole."""
        size, last = 0, None
        for event in self._file.events() if self._file else ():
            if self._take(event):
                size, last = size + len(event.data), event
            if size >= _LARGEST:
                break
        # A piece that ends before the file's set of GTIDs would claim that nothing was executed.
        if not self._cut or self._id is None or (last is None or last.kind == Kind.FORMAT_DESCRIPTION):
            return None
        piece = Piece(self._id, self._cut_at, b"".join(self._cut), self._mark)
        self._cut = []
        return piece

    def _take(self, event: Event) -> bool:
        """Add an event to the piece that is being cut, unless it is stored already."""
        if event.kind == Kind.FORMAT_DESCRIPTION and self._reading is not None:
            self._id = FileId.of(self._reading.uuid, self._path.name, event.timestamp)
            self._mark = self._stored.get(self._id, Mark()).after(self._unlogged)
            if event.end == 0:
                self._check_same(self._id)
                return False
        start = 0 if event.kind == Kind.FORMAT_DESCRIPTION else event.start
        if event.end <= self._mark.end:
            return False
        if start != self._mark.end:
            raise MisreadError(f"{self._path.name} was read from {start} on, but is stored up to {self._mark.end}")
        if not self._cut:
            self._cut_at = start
        self._cut.append(MAGIC + event.data if start == 0 else event.data)
        self._mark, _ = advance(self._mark, event)
        if event.kind == Kind.PREVIOUS_GTIDS:
            self._mark = self._mark.after(self._unlogged)
        if event.kind != Kind.FORMAT_DESCRIPTION:
            self.received = self._mark.executed
        return True

    def _check_same(self, file: FileId) -> None:
        """Raise AnotherFileError when what is read on is not the file of which the beginning is stored."""
        if file not in self._stored:
            alike = [each for each in self._stored if (each.uuid, each.name) == (file.uuid, file.name)]
            if alike:
                raise AnotherFileError(max(alike))

    def _put(self, piece: Piece) -> None:
        stored = self._packing.pack(piece.plain)
        stem = Range(piece.start, piece.mark.end).stem(piece.file, self._owner)
        digests = hashlib.sha256(stored).hexdigest(), hashlib.sha256(piece.plain).hexdigest()
        found = Stored(self._packing.suffix, len(stored), *digests)
        version = self._reading.version if self._reading else ""
        record = PieceRecord.made(piece.file, version, piece.start, piece.mark, found)
        self._store.put(stem + self._packing.suffix, stored)
        self._store.put(stem + RECORD, record.to_bytes())
        self._stored[piece.file] = piece.mark
        self.shipped = piece.mark.executed
        self.last_at = piece.mark.last_at or self.last_at
        self.bytes += len(stored)
