"""systemd's store of file descriptors: bytes that outlive this process, but neither a stop of its unit nor a reboot.

They lie in memory and have no name in any file system (FileDescriptorStoreMax= in systemd.service(5), memfd_create(2)).
"""

from __future__ import annotations

import fcntl
import os
import socket
from typing import Final

_FIRST: Final = 3
# Nobody can change them again, this process included.
_ALL_SEALS: Final = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL


def stored(name: str) -> bytes | None:
    """What an earlier process of this unit kept under that name; None when nothing is there."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return None
    names = os.environ.get("LISTEN_FDNAMES", "").split(":")
    if name not in names:
        return None
    descriptor = _FIRST + names.index(name)
    try:
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0)
    except OSError:
        return None


def keep(name: str, content: bytes) -> None:
    """Keep it for the unit's next process, in place of what was there under that name."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.write(descriptor, content)
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _ALL_SEALS)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.connect(f"\0{address[1:]}" if address.startswith("@") else address)
            channel.send(f"FDSTOREREMOVE=1\nFDNAME={name}".encode())
            socket.send_fds(channel, [f"FDSTORE=1\nFDNAME={name}".encode()], [descriptor])
    except OSError:
        # Without it the next process reads everything anew.
        return
    finally:
        os.close(descriptor)
