"""Where the server's runner keeps its history and its key: whether it can, as systemd-tmpfiles sets it up."""

from __future__ import annotations

import os
import stat
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wbagent.checks.check import Finding, Subject, fail, note, passed
from wbagent.state_directory import state_directory

MENDS: Final = "systemd-tmpfiles --create wbagent.conf; systemctl restart wbagent"
# acl(5) and the kernel's posix_acl_xattr.h: a version, then entries of tag, permissions and id; this tag is the owning
# group's own entry, of which the mode's bits show the mask instead.
_ENTRY: Final = struct.Struct("<HHI")
_VERSION_SIZE: Final = 4
_GROUP_OBJ: Final = 0x04
_ALL: Final = 0o7


@dataclass(frozen=True, slots=True)
class Kept:
    """The directory as it is; `group` is the permissions that its group really has."""

    path: str
    directory: bool = False
    group: int = 0


def server_directory() -> Path:
    """Below the state directory, for the runner alone."""
    return state_directory() / "server"


def state(_: Subject) -> Finding:
    """Whether the runner, a dynamic user of group wbagent, can keep anything."""
    path = server_directory()
    try:
        found = path.stat()
    except FileNotFoundError:
        return judge_kept(Kept(str(path)))
    except PermissionError:
        return note("not looked at: only root and group wbagent can", remedy="run this as root")
    try:
        acl = os.getxattr(path, "system.posix_acl_access")
    except OSError:
        # There is none, or the file system knows none.
        acl = b""
    return judge_kept(Kept(str(path), stat.S_ISDIR(found.st_mode), group_permissions(found.st_mode, acl)))


def group_permissions(mode: int, acl: bytes) -> int:
    """What the owning group may: its entry of the ACL within the mask, which `mode` shows where there is one."""
    shown = mode >> 3 & _ALL
    entries = acl[_VERSION_SIZE:]
    whole = entries[: len(entries) // _ENTRY.size * _ENTRY.size]
    own = (permissions for tag, permissions, _ in _ENTRY.iter_unpack(whole) if tag == _GROUP_OBJ)
    return shown & next(own, _ALL)


def judge_kept(kept: Kept) -> Finding:
    """A runner without it serves all the same, and neither says why it ended nor knows its own container again."""
    if not kept.directory:
        return fail(f"the directory {kept.path} is missing", needed="as the package makes it", remedy=MENDS)
    if kept.group != _ALL:
        return fail(
            f"the server's runner cannot write in {kept.path}: its group lacks the right",
            needed="rwx for group wbagent, also in its ACL",
            remedy=MENDS,
        )
    return passed(f"{kept.path} is there, for the runner to write in")
