"""What a drill's container is: the cage in which MySQL's server program of some image runs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from wbagent.database.contained import Request
from wbagent.errors import UsageError
from wbagent.server.specification import Specification
from wbagent.state_directory import state_directory

# Whose container it is: that of the run of the unit with this $INVOCATION_ID.
LABEL: Final = "wbagent.drill"
# mysqld takes 360 to 420 MB with its buffer pool of 128M; the rest is for the page cache of its files.
MEMORY: Final = 1 << 30
_PERIOD_US: Final = 100_000
_PROCESSORS: Final = 2
# A tenth of what a container has otherwise.
_SHARES: Final = 102
_FILES: Final = 16384
_ROOM: Final = re.compile("restoring-[A-Za-z0-9_]+")


def cage(
    image: str, request: Request, owner: tuple[int, int], invocation: str, volumes: Iterable[str]
) -> Specification:
    """The container: no network, no capability, nothing to write to but `request.room`, as user and group `owner`.

    Invariant: whatever the options are, what runs in it can do no more than a process of `owner` that sees the files
    of the image and of that one directory, and it leaves nothing but what is in there: of the `volumes` that the image
    asks for Docker makes none. Raises UsageError for a room that is none of the restores'.
    """
    room = Path(request.room)
    if request.room and not (_ROOM.fullmatch(room.name) and room.parent == state_directory() / "scratch"):
        raise UsageError(f"{request.room!r} is no room for a restore")
    mounts = [{"Type": "bind", "Source": request.room, "Target": request.room}] if request.room else []
    host = {
        "NetworkMode": "none",
        "ReadonlyRootfs": True,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges"],
        # A daemon that maps users (userns-remap) would let nobody into the room.
        "UsernsMode": "host",
        "Mounts": mounts,
        "Tmpfs": dict.fromkeys(["/tmp", *volumes], "size=16m,noexec,nosuid,nodev"),  # noqa: S108 - the container's own
        "Memory": MEMORY,
        "MemorySwap": MEMORY,
        "CpuPeriod": _PERIOD_US,
        "CpuQuota": _PROCESSORS * _PERIOD_US,
        "CpuShares": _SHARES,
        "PidsLimit": 256,
        "OomScoreAdj": 500,
        "Ulimits": [{"Name": "nofile", "Soft": _FILES, "Hard": _FILES}, {"Name": "core", "Soft": 0, "Hard": 0}],
        "RestartPolicy": {"Name": "no"},
        # What it says goes to the drill alone.
        "LogConfig": {"Type": "none"},
    }
    config: dict[str, Any] = {
        "Image": image,
        # Not the image's own entry point, which is a shell script that makes accounts.
        "Entrypoint": ["mysqld"],
        "Cmd": list(request.options),
        "User": f"{owner[0]}:{owner[1]}",
        "WorkingDir": "/",
        "Healthcheck": {"Test": ["NONE"]},
        "Labels": {LABEL: invocation},
        "HostConfig": host,
    }
    return Specification(config, "")
