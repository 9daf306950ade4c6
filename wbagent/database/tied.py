"""Becomes another program that the kernel ends together with its parent: run by its path, `tied.py UID GID PARENT …`.

A program of its own, since Python may not run code between fork and exec in a process with threads; setpriv(1), which
does the same, calls capset(2), which the sandbox of wbagent's units refuses. UID 0 keeps the user.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Final

_PR_SET_PDEATHSIG: Final = 1


def main() -> None:
    """Change the user first: that would clear the signal (prctl(2))."""
    uid, gid, parent = (int(word) for word in sys.argv[1:4])
    if uid:
        try:
            os.setgroups([])
            os.setgid(gid)
            os.setuid(uid)
        except PermissionError:
            # wbagent-upgrade.service, whose root has few rights.
            sys.exit("this process may not run mysqld as another user; as root, by hand: wbagent restore")
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("its parent has ended already")
    os.execv(sys.argv[4], sys.argv[4:])  # noqa: S606 - what the caller has chosen, no shell


if __name__ == "__main__":
    main()
