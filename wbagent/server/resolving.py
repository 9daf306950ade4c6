"""Whether the server's container finds a host by its name: it asks the DNS, and has not this host's /etc/hosts."""

from __future__ import annotations

import re
import socket
import subprocess
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final

_HOSTS: Final = Path("/etc/hosts")
_RESOLVERS: Final = Path("/etc/resolv.conf")
_DAEMON: Final = Path("/etc/docker/daemon.json")
_LOCALHOST: Final = re.compile(r"(localhost|.*\.localhost)\.?")
# glibc's own, two servers asked twice for 5 s each.
_TIMEOUT_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class Lookup:
    """What this host makes of a name, and what the DNS alone does.

    `sure`: the container asks the very same DNS. Docker gives it the servers of this host's resolv.conf; but instead of
    a server on this host (which may read /etc/hosts) public ones, and those of daemon.json, when it names any.
    """

    name: str
    addresses: tuple[str, ...]
    by_dns: tuple[str, ...]
    hosts_file: bool = False
    sure: bool = True


@dataclass(frozen=True, slots=True)
class Unseen:
    """Why the container does not come to that host, and what mends it. Not `sure`: it may not."""

    said: str
    remedy: str
    sure: bool


def look_up(host: str) -> Lookup:
    """Ask this host, and the DNS past its /etc/hosts."""
    name = host.strip("[]")
    addresses = resolved(name)
    if addresses == (name,):
        return Lookup(name, addresses, addresses)
    return Lookup(name, addresses, _by_dns(name) if addresses else (), in_hosts_file(name), sure=_same_servers())


def unseen(found: Lookup) -> Unseen | None:
    """None when the container finds it, and for a name that this host does not find either: who connects tells that."""
    name = found.name
    if not found.addresses:
        return None
    reached = [address for address in found.addresses if not ip_address(address).is_loopback]
    by_address = f"name it by {'its address, ' + reached[0] if reached else 'an address that other hosts reach'}"
    inside = _LOCALHOST.fullmatch(name.lower()) or any(ip_address(each).is_loopback for each in found.by_dns)
    if inside or not (reached or found.by_dns):
        shown = name if name in found.addresses else f"{name} ({', '.join(found.addresses)})"
        return Unseen(f"{shown} is this host itself, and within the server's container that one", by_address, True)
    if not found.by_dns:
        where = "from its /etc/hosts" if found.hosts_file else "and not from the DNS"
        return Unseen(
            f"this host knows {name} {where}, and the server's container asks the DNS, which does not know it",
            f"{by_address}; or add {name} to the DNS",
            found.sure,
        )
    if found.hosts_file and not found.sure:
        return Unseen(
            f"this host knows {name} from its /etc/hosts, and the server's container asks another DNS than this host",
            f"see that its DNS knows {name}; or {by_address}",
            False,
        )
    return None


def resolved(name: str) -> tuple[str, ...]:
    """As this host's programs resolve it, each address once; none for a name that they do not know."""
    try:
        found = socket.getaddrinfo(name.strip("[]"), None, type=socket.SOCK_STREAM)
    except OSError:
        return ()
    return tuple(dict.fromkeys(str(address[0]).partition("%")[0] for *_, address in found))


def in_hosts_file(name: str) -> bool:
    """Whether this host's /etc/hosts has the name."""
    lines = _lines(_HOSTS)
    return any(name.lower() in line.partition("#")[0].lower().split()[1:] for line in lines)


def _by_dns(name: str) -> tuple[str, ...]:
    """With the search list of resolv.conf, which Docker hands on too."""
    command = ["getent", "-s", "dns", "ahosts", name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return tuple(dict.fromkeys(line.split()[0].partition("%")[0] for line in done.stdout.splitlines() if line.split()))


def _same_servers() -> bool:
    servers = [line.split()[1] for line in _lines(_RESOLVERS) if line.startswith("nameserver") and line.split()[1:]]
    here = any(server == "::1" or server.startswith("127.") for server in servers)
    return not here and not any('"dns"' in line for line in _lines(_DAEMON))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
