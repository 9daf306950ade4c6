"""Where programs that are not ours run: as a user without rights, in a home of their own that is gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from wbagent.checks.scratch import Scratch
from wbagent.errors import UsageError

# Not wbagent, who may read the secrets of the configuration.
_NOBODY: Final = "nobody"
# A host that reaches the network through a proxy has these.
_NETWORK: Final = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


@contextmanager
def temporary_home(scratch: Scratch) -> Iterator[Path]:
    """A new directory of that user, with a tmp in it."""
    directory = Path(tempfile.mkdtemp(prefix="wbagent-verify-"))
    with scratch.removed(lambda: shutil.rmtree(directory, ignore_errors=True)):
        (directory / "tmp").mkdir()
        give(directory / "tmp")
        give(directory)
        yield directory


def give(path: Path) -> None:
    """Make a path that user's."""
    if rights := unprivileged():
        os.chown(path, rights["user"], rights["group"])


def unprivileged() -> dict[str, Any]:
    """subprocess's arguments that take root's rights away; none for those who have none. Raises UsageError."""
    if os.geteuid() != 0:
        return {}
    try:
        entry = pwd.getpwnam(_NOBODY)
    except KeyError:
        raise UsageError(
            f"this host has no user {_NOBODY}, as whom the client is run", hint="run the command as a plain user"
        ) from None
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": ()}


def environment(home: Path) -> dict[str, str]:
    """Nothing of the caller's but the way to the network."""
    network = {name: os.environ[name] for name in _NETWORK if name in os.environ}
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(home),
        "TMPDIR": str(home / "tmp"),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
    } | network
