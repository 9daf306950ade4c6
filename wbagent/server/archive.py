"""Writes an archive of the files that an embedded server keeps beside its database, for the backup to store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import BinaryIO, Final

import docker
import docker.errors
import requests.exceptions

from wbagent.errors import DockerError
from wbagent.server.container import SOCKET, Docker
from wbagent.server.specification import NAME

FILES: Final = "/vol/env"


def write_archive(sink: BinaryIO) -> None:
    """A tar of /vol/env; without an end when it fails. Raises DockerError, also for a server that is not embedded."""
    with Docker() as connection:
        container = connection.inspect()
    if container is None:
        raise DockerError("no server runs, so there are no files to archive", hint="systemctl start wandb-local")
    if any(entry.startswith("MYSQL=") for entry in container["Config"].get("Env") or ()):
        # Its signing key and passwords are nobody's business then.
        raise DockerError("the server that runs is not an embedded one: its files are not given away")
    try:
        for chunk in _archive():
            sink.write(chunk)
    except docker.errors.NotFound:
        raise DockerError(f"the container {NAME} has no {FILES}", hint="journalctl -u wandb-local") from None
    except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
        raise DockerError(
            f"Docker does not give {FILES} of the container: {error}", hint="systemctl status docker.service"
        ) from None
    sink.flush()


def _archive() -> Iterator[bytes]:
    """The tar as it comes, owners and modes included."""
    with closing(docker.APIClient(base_url=SOCKET, version="auto")) as api:
        chunks, _ = api.get_archive(NAME, FILES)
        yield from chunks
