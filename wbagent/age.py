"""Encryption by age(1), a child process that a stream passes through: bounded memory, its end and its words judged."""

from __future__ import annotations

import os
import select
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import IO, Final, Self

from wbagent.child import how_it_ended
from wbagent.errors import BackupError, RestoreError, WbagentError

# What the name of an encrypted object ends in.
SUFFIX: Final = ".age"
_CHUNK: Final = 256 << 10
_DESCRIPTORS: Final = "/dev/fd/"
_MOST_COMPLAINTS: Final = 16 << 10


@dataclass(frozen=True, slots=True)
class Identity:
    """The text of an identity file of age (or of an SSH private key): secret."""

    text: str = field(repr=False)


class Age:
    """A running age: what is fed comes out encrypted or decrypted; leaving the block ends it if it still runs.

    Invariant: what came out is worth something only after `finish` has returned.
    """

    def __init__(self, arguments: Sequence[str], error: type[WbagentError], descriptors: Sequence[int] = ()) -> None:
        self._error = error
        try:
            self._process = subprocess.Popen(
                ["age", *arguments],  # noqa: S607 - found on PATH, as on every Debian
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=descriptors,
                # No plugin of a home directory; no terminal, on which it would wait for a passphrase, and from which
                # Ctrl-C is for this process, which then ends it in order.
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"},
                start_new_session=True,
            )
        except OSError as failure:
            raise error(f"age cannot be run: {failure.strerror}", hint="apt install age") from None
        self._input, self._output, self._stderr = self._pipes()
        os.set_blocking(self._input.fileno(), False)
        self._complaints = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for pipe in self._pipes():
            with suppress(BrokenPipeError):
                pipe.close()

    @property
    def pid(self) -> int:
        """The program's process id."""
        return self._process.pid

    @property
    def refused_input(self) -> bool:
        """Whether it ended by itself because of what it was fed, not for want of the right key."""
        return (self._process.poll() or 0) > 0 and not _about_identity(self._said())

    @property
    def refused_key(self) -> bool:
        """Whether it ended by itself because of the identity: the wrong one, or none that it can use."""
        return (self._process.poll() or 0) > 0 and _about_identity(self._said())

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Give it `data`; yields what it has ready meanwhile. Raises the error of its kind when it ended."""
        rest = memoryview(data)
        while rest:
            ready = self._ready(self._input.fileno())
            yield from self._taken(ready)
            if self._input.fileno() in ready:
                try:
                    rest = rest[os.write(self._input.fileno(), rest[:_CHUNK]) :]
                except BrokenPipeError:
                    yield from self.finish()
                    raise self._error("age ended before its input did", hint="see the unit's log") from None

    def finish(self) -> Iterator[bytes]:
        """End its input; yields the rest. Raises the error of its kind unless it ended well and without a word."""
        with suppress(BrokenPipeError):
            self._input.close()
        for descriptor in (self._output.fileno(), self._stderr.fileno()):
            while data := os.read(descriptor, _CHUNK):
                if descriptor == self._stderr.fileno():
                    self._complain(data)
                else:
                    yield data
        status = self._process.wait()
        if status:
            raise self._error(
                f"age {how_it_ended(status)}: {self._said() or 'and said nothing'}", hint=_hint(self._said())
            )

    def _ready(self, writable: int) -> set[int]:
        poll = select.poll()
        poll.register(writable, select.POLLOUT)
        for pipe in (self._output, self._stderr):
            poll.register(pipe.fileno(), select.POLLIN)
        return {descriptor for descriptor, _ in poll.poll()}

    def _taken(self, ready: set[int]) -> Iterator[bytes]:
        if self._stderr.fileno() in ready:
            self._complain(os.read(self._stderr.fileno(), 4096))
        if self._output.fileno() in ready and (data := os.read(self._output.fileno(), _CHUNK)):
            yield data

    def _complain(self, data: bytes) -> None:
        self._complaints += data[: _MOST_COMPLAINTS - len(self._complaints)]

    def _said(self) -> str:
        lines = (line.removeprefix("age: ").strip() for line in self._complaints.decode(errors="replace").splitlines())
        return "; ".join(line for line in lines if line and not line.startswith("report unexpected"))[:600]

    def _pipes(self) -> tuple[IO[bytes], IO[bytes], IO[bytes]]:
        process = self._process
        if not (process.stdin and process.stdout and process.stderr):
            raise AssertionError("all three are pipes")
        return process.stdin, process.stdout, process.stderr


def encrypting(recipients: Sequence[str]) -> Age:
    """An age that encrypts to all of these public keys; raises BackupError."""
    return Age([argument for key in recipients for argument in ("--recipient", key)], BackupError)


@contextmanager
def decrypting(identity: Identity) -> Iterator[Age]:
    """An age that decrypts with any key of `identity`, which it reads from memory; raises RestoreError."""
    descriptor = os.memfd_create("age-identity", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, identity.text.encode())
        # Opened by its name in /proc it is read from its beginning.
        with Age(["--decrypt", "--identity", f"{_DESCRIPTORS}{descriptor}"], RestoreError, (descriptor,)) as age:
            yield age
    finally:
        os.close(descriptor)


def _about_identity(said: str) -> bool:
    """Whether it complains about the identity: by that word, or by the name that its file has for it."""
    return "identit" in said or _DESCRIPTORS in said


def _hint(said: str) -> str:
    if "passphrase" in said:
        return "a key with a passphrase cannot be used: take it off a copy of the file (ssh-keygen -p -f COPY)"
    if "no identity matched" in said or "incorrect identity" in said:
        return "give the secret key that belongs to one of the public keys in the commit record: --identity FILE"
    if _about_identity(said):
        return "--identity wants a file as age-keygen writes it, or an SSH private key"
    return "mend what it says"
