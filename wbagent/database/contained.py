"""MySQL's server program in a container, for who has no access to Docker: a unit behind a socket runs it for us.

Over the connection go lines of JSON. Ours is a `Request`, once; whoever serves it answers "refused", or "started" and
then each "line" of output and how it "ended". The connection's end is the container's: when either side closes it, by
whatever cause, the container is removed, and only then does the other side see the end.
"""

from __future__ import annotations

import json
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from wbagent.database.mysqld import Mysqld, parse_mysqld
from wbagent.database.process import Account, Blow, NoStartError, Running
from wbagent.errors import DatabaseError

SOCKET: Final = Path("/run/wbagent/drill.sock")
UNIT: Final = "wandb-local-drill.socket"
LOOK: Final = "journalctl -u 'wandb-local-drill@*' -n 20"
# Docker may need so long to remove a container; after that it is somebody else's to look at, and a drill that is being
# stopped (TimeoutStopSec=) has other things to tidy up.
_REMOVAL_S: Final = 40.0
_NEWER: Final = (
    "name an image of MySQL {version} in [backup.drill] image, or of a newer one that may take over its data"
)


@dataclass(frozen=True, slots=True)
class Request:
    """mysqld's options, and the directory below which everything is that it reads and writes; "": there is none."""

    options: tuple[str, ...]
    room: str

    def to_line(self) -> bytes:
        """For the connection."""
        return json.dumps({"options": self.options, "room": self.room}).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Self:
        """From the connection; raises ValueError for anything else."""
        try:
            said = json.loads(line)
            return cls(tuple(str(option) for option in said["options"]), str(said["room"]))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"no request: {error}") from None


@dataclass(frozen=True, slots=True)
class ContainedMysqld(Mysqld):
    """The server program of an image."""

    def run(self, options: Sequence[str], room: Path, account: Account | None) -> Running:
        """Start it; raises NoStartError when no container can be had."""
        return Contained(Request(tuple(options), str(room)))

    def remedy(self, version: str) -> str:
        """See `Mysqld`."""
        return _NEWER.format(version=version)


def contained_mysqld(image: str) -> ContainedMysqld:
    """The server program of the image that the configuration names, asked for its version; raises DatabaseError.

    Docker fetches an image that is not there yet, which may take its time.
    """
    asked = Contained(Request(("--no-defaults", "--version"), ""))
    try:
        said = [line.decode(errors="replace").rstrip() for line in asked.lines()]
        status = asked.wait()
    finally:
        asked.kill()
    if blow := asked.blow():
        raise DatabaseError(f"the image {image} was not asked for its MySQL: {blow.what}", hint=blow.hint)
    name = f"the mysqld of image {image}"
    found = parse_mysqld(name, "\n".join(said), status, "name an image of MySQL in [backup.drill] image")
    return ContainedMysqld(name, found.flavour, found.version, found.text, image)


class Contained:
    """A mysqld in a container; raises NoStartError when none can be had, with what the unit says of it."""

    def __init__(self, request: Request) -> None:
        self._connection = _connect()
        self._answers = self._connection.makefile("rb")
        self._over = threading.Event()
        self._status = -signal.SIGKILL
        self._blow: Blow | None = Blow("the unit that runs its container ended", LOOK)
        self._told_to_end = False
        try:
            self._connection.sendall(request.to_line())
            _require_start(self._answer())
        except OSError as error:
            self._close()
            raise _unreachable(error) from None
        except BaseException:
            self._close()
            raise

    def lines(self) -> Iterator[bytes]:
        """See `Running`; the container is removed when they end."""
        try:
            while answer := self._answer():
                if "line" in answer:
                    yield str(answer["line"]).encode()
                elif "ended" in answer:
                    self._status = int(answer["ended"])
                    self._blow = Blow(answer["what"], answer["hint"]) if answer.get("what") else None
        except OSError:
            # As at any other end of the unit.
            return
        finally:
            self._close()
            self._over.set()

    def poll(self) -> int | None:
        """See `Running`."""
        return self._status if self._over.is_set() else None

    def wait(self) -> int:
        """See `Running`."""
        self._over.wait()
        return self._status

    def terminate(self) -> None:
        """See `Running`; what runs in a container is thrown away, so there is no order in which to end it."""
        self.kill()

    def kill(self) -> None:
        """See `Running`: it returns when the container is gone, or Docker takes too long for that."""
        if self._over.is_set():
            return
        self._told_to_end = True
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_WR)
            if not self._over.wait(_REMOVAL_S):
                self._connection.shutdown(socket.SHUT_RDWR)

    def blow(self) -> Blow | None:
        """See `Running`."""
        return None if self._told_to_end else self._blow

    def _answer(self) -> dict[str, Any]:
        """The next one, empty at the end."""
        line = self._answers.readline()
        try:
            answer: dict[str, Any] = json.loads(line or b"{}")
        except ValueError:
            # Cut off in its midst by the unit's end.
            answer = {}
        return answer

    def _close(self) -> None:
        self._answers.close()
        self._connection.close()


def _require_start(answer: dict[str, Any]) -> None:
    if "started" not in answer:
        raise NoStartError(
            str(answer.get("refused") or "the unit that is to run MySQL's container ended without an answer"),
            hint=str(answer.get("hint") or f"{LOOK}; is Docker installed?"),
            environmental=True,
        )


def _connect() -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        connection.connect(str(SOCKET))
    except OSError as error:
        connection.close()
        raise _unreachable(error) from None
    return connection


def _unreachable(error: OSError) -> NoStartError:
    return NoStartError(
        f"{SOCKET} cannot be used, behind which MySQL's container is run: {error.strerror or error}",
        hint=f"systemctl start {UNIT}; {LOOK}",
        environmental=True,
    )
