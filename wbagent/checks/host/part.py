"""Which part this host has: the server, its database, or, before anything is configured, both to be."""

from __future__ import annotations

from dataclasses import dataclass

from wbagent.alerts.disk import data_directory, docker_root, places
from wbagent.config import Settings
from wbagent.database.local import is_local

# Where the packages of MySQL, Percona and MariaDB put it.
_PACKAGED = "/var/lib/mysql"


@dataclass(frozen=True, slots=True)
class Part:
    """Whether the server runs or will run here, and its database; `elsewhere` names the database's host otherwise."""

    server: bool
    database: bool
    elsewhere: str = ""


def part_of(settings: Settings) -> Part:
    """It asks the resolver whether the database's host is this one."""
    url = settings.database_url()
    if url is None:
        return Part(server=True, database=True)
    if (settings.server is not None and settings.server.embedded and settings.database is None) or is_local(url):
        return Part(server=settings.server is not None, database=True)
    return Part(server=settings.server is not None, database=False, elsewhere=url.host)


def database_directory(settings: Settings) -> str:
    """Where the database's files are on this host, or would be; "" when it is on another one."""
    if not part_of(settings).database:
        return ""
    if found := data_directory(settings, ""):
        return found
    # An embedded server's is in its volume.
    return dict(places(settings, "")).get("volume") or _PACKAGED


def written_places(settings: Settings) -> dict[str, str]:
    """What is written to on this host, by path: the database, Docker, the server's volume, the state."""
    part = part_of(settings)
    found = {path: what for what, path in places(settings, database_directory(settings))}
    if part.server:
        found.setdefault(docker_root(), "docker")
    return found
