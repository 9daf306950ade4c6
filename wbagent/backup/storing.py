"""Stores one stream as objects of bounded size, and reads each back while the next one is sent.

So parts, and the memory that they take, stay small however large a backup is; and proving it hardly takes longer than
sending it. The objects one after the other are the stream: `cat datadir.tar.zst*` puts them together.
"""

from __future__ import annotations

import hashlib
import queue
import threading
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import Final, Self

from wbagent.backup.layout import object_key, piece_name
from wbagent.backup.manifest import Piece, StoredObject
from wbagent.backup.pipeline import Plain
from wbagent.backup.progress import Meter, Reporter
from wbagent.backup.reading import prove
from wbagent.bucket.store import Store, Writer
from wbagent.errors import BackupError

# Objects grow with the backup: a listing of the bucket shall not be of ten thousands.
_ABOUT_AT_MOST: Final = 1000
_TELL_EVERY_S: Final = 1.0
_FOR_COURTESY_S: Final = 5.0


def size_for(largest: int, configured: int) -> int:
    """Bytes of each object of a stream of about `largest` bytes: as configured, or so many that it takes 1,000."""
    return max(configured, -(-largest // _ABOUT_AT_MOST))


class Storing:
    """What a stream is written to; leaving the block before `commit` takes everything back.

    What was stored to its end stays also when it was then found to be something else: as evidence, for as long as
    retention leaves the remains of a failed run.
    """

    def __init__(
        self, store: Store, backup: tuple[str, str], file: str, object_size: int, *, read_back: bool = True
    ) -> None:
        """`backup`: owner and id; `file`: the name of the first object, which the further ones begin with."""
        self._store = store
        self._backup = backup
        self._file = file
        self._object_size = object_size
        self._proof = _Proof(store, read=read_back)
        self._pieces: list[Piece] = []
        self._digest = hashlib.sha256()
        self._open = ExitStack()
        self._writer: Writer | None = None
        self._filled = 0
        self._whole = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._proof.give_up()
        if not self._whole:
            self._open.close()
            self._store.withdraw([self._key(piece.file) for piece in self._pieces])

    def write(self, data: bytes | memoryview) -> None:
        """Add to the stream; raises BucketError, and BackupError when an object was not stored as it was sent."""
        view = memoryview(data)
        while view:
            writer = self._writer or self._begin()
            fitting = view[: self._object_size - self._filled]
            self._digest.update(fitting)
            writer.write(fitting)
            self._filled += len(fitting)
            view = view[len(fitting) :]
            if self._filled == self._object_size:
                self._end(writer)
                self._proof.follow(self._key(self._pieces[-1].file), self._pieces[-1].size, self._digest.hexdigest())

    def commit(self) -> None:
        """All was written: make the last object visible too; raises BucketError."""
        if self._writer:
            self._end(self._writer)
        self._whole = True

    def proven(self, plain: Plain, report: Reporter, stage: str = "reading back") -> StoredObject:
        """After `commit`: read back what has not been yet, and describe what is stored for the commit record.

        Raises BucketError, and BackupError when it is something else than was sent.
        """
        size = sum(piece.size for piece in self._pieces)
        meter = Meter(stage, report, expected=size - self._proof.read)
        self._proof.finish(meter)
        if size > self._proof.handed_over:
            last = self._pieces[-1]
            self._proof.compare(self._key(last.file), last.size, self._digest.hexdigest(), meter.add)
        meter.done()
        return StoredObject(
            file=self._file,
            size=size,
            sha256=self._digest.hexdigest(),
            plain_size=plain.size,
            plain_sha256=plain.sha256,
            pieces=tuple(self._pieces) if len(self._pieces) > 1 else (),
        )

    def _begin(self) -> Writer:
        self._writer = self._open.enter_context(self._store.writer(self._key(self._name()), largest=self._object_size))
        return self._writer

    def _end(self, writer: Writer) -> None:
        # Before the commit: what ends this run while the store answers may come after the object is there.
        self._pieces.append(Piece(file=self._name(), size=self._filled))
        writer.commit()
        self._open.close()
        self._writer, self._filled = None, 0

    def _name(self) -> str:
        return piece_name(self._file, len(self._pieces))

    def _key(self, file: str) -> str:
        return object_key(*self._backup, file)


class _Proof:
    """Reads objects back in the order in which they were stored, the earlier ones in a thread of its own.

    One checksum runs through all of them: where an object ends, it has to be what it was when that one was sent.
    """

    def __init__(self, store: Store, *, read: bool) -> None:
        self._store = store
        self._compare_content = read
        self._digest = hashlib.sha256()
        self._waiting: queue.SimpleQueue[tuple[str, int, str] | None] = queue.SimpleQueue()
        self._given_up = threading.Event()
        self._error: BaseException | None = None
        # Not waited for at the program's end: it may be in the midst of minutes of patience with the store.
        self._thread = threading.Thread(target=self._follow, name="read-back", daemon=True)
        self.handed_over = self.read = 0

    def follow(self, key: str, size: int, sha256: str) -> None:
        """Prove this one too when its turn comes; raises what an earlier one was found to be."""
        if not self.handed_over:
            self._thread.start()
        self.handed_over += size
        self._waiting.put((key, size, sha256))
        self._check()

    def finish(self, meter: Meter) -> None:
        """Wait until all that was handed over is proven; raises what one was found to be."""
        self._waiting.put(None)
        told = self.read
        while self._thread.is_alive():
            self._thread.join(_TELL_EVERY_S)
            meter.add(self.read - told)
            told = self.read
        self._check()

    def compare(self, key: str, size: int, sha256: str, count: Callable[[int], None]) -> None:
        """Prove this one now; `count` is told of each chunk's bytes. Raises BackupError, BucketError."""
        prove(self._store, key, size, self._digest if self._compare_content else None, sha256, count)

    def give_up(self) -> None:
        """Nothing of it is of use any more."""
        self._given_up.set()
        self._waiting.put(None)
        if self._thread.is_alive():
            self._thread.join(_FOR_COURTESY_S)

    def _follow(self) -> None:
        try:
            while one := self._waiting.get():
                self.compare(*one, self._count)
        except BaseException as error:
            self._error = error

    def _count(self, size: int) -> None:
        if self._given_up.is_set():
            raise BackupError("given up, because something else failed")
        self.read += size

    def _check(self) -> None:
        if self._error:
            raise self._error
