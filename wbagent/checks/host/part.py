"""Which part this host has: the server, its database, or, before anything is configured, both to be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from wbagent.alerts.disk import data_directory, docker_root, places
from wbagent.config import Settings
from wbagent.database.local import is_local

# Where the packages of MySQL, Percona and MariaDB put it.
_PACKAGED: Final = "/var/lib/mysql"


@dataclass(frozen=True, slots=True)
class Database:
    """Where its files are on this host, or would be; else the name of the host that it is on."""

    directory: str
    elsewhere: str = ""


def server_is_here(settings: Settings) -> bool:
    """Whether the server runs here, or will: nothing else is configured."""
    return settings.server is not None or settings.database_url() is None


def database_of(settings: Settings) -> Database:
    """It asks the resolver whose the host's address is, and MySQL for its directory: both may take their time."""
    url = settings.database_url()
    embedded = settings.server is not None and settings.server.embedded and settings.database is None
    if url is not None and not embedded and not is_local(url):
        return Database("", url.host)
    # An embedded server's is in its volume.
    return Database(data_directory(settings, "") or dict(places(settings, "")).get("volume") or _PACKAGED)


def written_places(settings: Settings, database: str) -> dict[str, str]:
    """What is written to on this host, by path: the database in its directory, Docker, the volume, the state."""
    found = {path: what for what, path in places(settings, database)}
    if server_is_here(settings):
        found.setdefault(docker_root(), "docker")
    return found
