"""The one-time key by which a drill opens the newest backup although this host cannot read its own past.

Each encrypted backup is encrypted to a fresh key too, whose secret half lies in a directory of /run: in memory, for the
user of the units alone. It opens one backup only, of data that this host holds at this moment anyway, and it goes when
the drill is over (`forget`), when the next backup begins (`renew`), or with the next boot.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Final

from wbagent.age import Identity
from wbagent.durable import new_file
from wbagent.errors import BackupError

# RuntimeDirectory= of the backup's and the drill's units, kept between the two by RuntimeDirectoryPreserve=.
DIRECTORY: Final = Path("/run/wbagent-drill")
_PUBLIC: Final = re.compile(r"^# public key: (age1[a-z0-9]+)$", re.MULTILINE)


def renew() -> str:
    """Make a new key in place of the last one and return its public half; raises BackupError."""
    path = _path()
    try:
        made = subprocess.run(
            ["age-keygen"],  # noqa: S607 - found on PATH, as age itself
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
        )
        public = _PUBLIC.search(made.stdout)
        if public is None:
            raise BackupError("age-keygen printed no public key", hint="age-keygen | grep public")
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.unlink(missing_ok=True)
        with new_file(path, 0o600) as file:
            file.write(made.stdout.encode())
        if os.geteuid() == 0:
            # Made by root's hand it is still for the unit's user, whose directory this is.
            above = path.parent.stat()
            os.chown(path, above.st_uid, above.st_gid)
    except FileNotFoundError as error:
        raise BackupError(f"{error.filename} is not there", hint="apt install age") from None
    except subprocess.CalledProcessError as error:
        raise BackupError(f"age-keygen failed: {error.stderr.strip()[:300]}", hint="run it by hand") from None
    except OSError as error:
        raise BackupError(f"{path} cannot be written: {error.strerror}", hint="ls -ld /run/wbagent-drill") from None
    return public[1]


def identity() -> Identity | None:
    """The secret half for the newest backup, or None when there is none (any more); raises BackupError."""
    try:
        return Identity(_path().read_text())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BackupError(f"{_path()} cannot be read: {error.strerror}", hint="run the unit, or as root") from None


def forget(public: str = "") -> None:
    """Remove the secret half: from now on this host cannot read the backup. Gone already is no error.

    With `public` only when it is that one's: a backup that began during a drill has put its own in its place.
    """
    own = identity() if public else None
    if own is not None and public not in own.text:
        return
    _path().unlink(missing_ok=True)


def _path() -> Path:
    return Path(os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0] or DIRECTORY) / "key"
