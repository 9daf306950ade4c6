"""Writes an archive of the files that an embedded server keeps beside its database, for the backup to store."""

from __future__ import annotations

from typing import BinaryIO, Final

from wbagent.errors import DockerError
from wbagent.server.container import Docker

FILES: Final = "/vol/env"


def write_archive(sink: BinaryIO) -> None:
    """A tar of /vol/env; without an end when it fails. Raises DockerError, also for a server that is not embedded."""
    with Docker() as docker:
        container = docker.inspect()
        if container is None:
            raise DockerError("no server runs, so there are no files to archive", hint="systemctl start wandb-local")
        if any(entry.startswith("MYSQL=") for entry in container["Config"].get("Env") or ()):
            # Its signing key and passwords are nobody's business then.
            raise DockerError("the server that runs is not an embedded one: its files are not given away")
        for chunk in docker.archive(FILES):
            sink.write(chunk)
        sink.flush()
