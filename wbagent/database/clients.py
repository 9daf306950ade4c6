"""MySQL's own programs, mysqldump and mysql: found, told apart from MariaDB's, and held to the server's version."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import Final

from wbagent.database.facts import Version, flavour_of, parse_version, show_version
from wbagent.database.options_file import environment
from wbagent.errors import DatabaseError

_GET_IT: Final = (
    "install MySQL's own client (package mysql-community-client of https://dev.mysql.com/downloads/repo/apt/ or"
    " repo/yum/; on Ubuntu and Debian sid: mysql-client) and name its program in [backup] {key}"
)


@dataclass(frozen=True, slots=True)
class ClientProgram:
    """A program that was found; `text` is what it says of itself, `version` that of its MySQL or MariaDB."""

    path: str
    flavour: str
    version: Version
    text: str


def parse_client(path: str, text: str) -> ClientProgram:
    """Read the answer to `--version`."""
    line = text.strip().splitlines()[0] if text.strip() else ""
    found = re.search(r"(?:Distrib|from) (\d\S*)", line) or re.search(r"Ver (\d\S*)", line)
    return ClientProgram(path, flavour_of(line), parse_version(found[1]) if found else (0, 0, 0), line[:200])


def find_client(name: str, key: str) -> ClientProgram:
    """Find the program `name` (on PATH, or an absolute path) of the configuration's [backup] `key`.

    Raises DatabaseError when there is none or it does not run.
    """
    path = shutil.which(name)
    if path is None:
        raise DatabaseError(f"the program {name!r} was not found or cannot be run", hint=_GET_IT.format(key=key))
    answer = asked_for_version(path, hint=_GET_IT.format(key=key))
    if answer.returncode:
        said = answer.stderr.decode(errors="replace").strip()[:300]
        raise DatabaseError(
            f"{path} --version failed with status {answer.returncode}: {said}", hint=_GET_IT.format(key=key)
        )
    return parse_client(path, answer.stdout.decode(errors="replace"))


def asked_for_version(path: str, *options: str, hint: str, timeout: float = 30) -> subprocess.CompletedProcess[bytes]:
    """What the program does when it is called with `options` and --version.

    Raises DatabaseError when it cannot be run or has not ended after `timeout` seconds.
    """
    command = [path, *options, "--version"]
    try:
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, env=environment(), timeout=timeout, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise DatabaseError(f"{path} --version failed: {error}", hint=hint) from None


def check_client(client: ClientProgram, server: Version, key: str) -> tuple[str, ...]:
    """Refuse (DatabaseError) a program whose dumps of this server cannot be trusted; return warnings.

    MariaDB's program ends with status 0 and leaves a dump that MySQL cannot restore (generated columns, error 3105).
    """
    if client.flavour == "MariaDB":
        raise DatabaseError(
            f"{client.path} is MariaDB's program ({client.text}); its dumps of a MySQL server cannot be restored",
            hint=_GET_IT.format(key=key),
        )
    if client.version == (0, 0, 0):
        raise DatabaseError(
            f"{client.path} does not say which MySQL it comes from: {client.text!r}", hint=_GET_IT.format(key=key)
        )
    theirs, ours = show_version(server), show_version(client.version)
    if client.version[:2] < server[:2]:
        raise DatabaseError(
            f"{client.path} is of MySQL {ours}, older than the server ({theirs}); it would miss what it does not know",
            hint=_GET_IT.format(key=key).replace("MySQL's own client", f"MySQL's own client {theirs} or newer"),
        )
    if client.version < server:
        return (f"{client.path} ({ours}) is a patch release behind the server ({theirs})",)
    return ()
