"""Gets an image onto this host, from a registry or a file, and tells how much room that needs."""

from __future__ import annotations

import json
import os
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final, TypeVar

import docker
import docker.errors
import requests.exceptions

from wbagent.backup.progress import Progress, Reporter
from wbagent.errors import DockerError, UsageError
from wbagent.server.container import SOCKET, Docker, DockerAwayError
from wbagent.upgrade.release import same_image

# Unpacking a large layer of a file is done in silence.
_TIMEOUT_S: Final = 900
_CHUNK: Final = 1 << 20
_EVERY_S: Final = 0.5
_COUNTED: Final = {"Downloading": "fetching", "Extracting": "unpacking"}

_T = TypeVar("_T")


def is_here(name: str) -> bool:
    """Whether the image is on this host under exactly this name."""
    with Docker() as connection:
        return connection.inspect_image(name) is not None


def room(name: str) -> tuple[Path, int, int]:
    """Docker's root directory, the bytes free there, and the size of the image `name` (0 when it is not there)."""
    with closing(_client()) as api:
        root = Path(_told(api.info, "read the daemon's settings")["DockerRootDir"])
    with Docker() as connection:
        image = connection.inspect_image(name) or {}
    free = os.statvfs(root)
    return root, free.f_bavail * free.f_frsize, int(image.get("Size") or 0)


def pull(name: str, report: Reporter) -> None:
    """Pull it from its registry; raises DockerError, DockerAwayError."""
    with closing(_client()) as api:
        _follow(lambda: api.pull(name, stream=True, decode=True), f"pull {name}", _Layers(report))
    _require(name, f"the registry gave something else than {name}")


def load(file: Path, name: str, report: Reporter) -> None:
    """Load it from a file of `docker save`; raises DockerError, DockerAwayError, OSError."""
    with closing(_client()) as api, file.open("rb") as source:
        chunks = _read(source.fileno(), report)
        # types-docker leaves this method without annotations. A generator goes out piece by piece.
        _follow(lambda: api.load_image(chunks, quiet=True), f"load {file}", _Layers(report))  # type: ignore[no-untyped-call]
    _require(name, f"{file} was loaded, but holds no {name}")


def check_file(file: Path, name: str) -> None:
    """Raise UsageError unless `docker load` of the file would bring the image `name`."""
    try:
        with tarfile.open(file) as archive:
            member = _member(archive, "manifest.json")
            entries = json.loads(member) if member else None
    except (tarfile.TarError, ValueError, EOFError):
        raise UsageError(
            f"{file} is no tar archive, or a damaged one, so it is not what docker save made",
            hint=f"docker save --output {file.name} {name}",
        ) from None
    if entries is None:
        raise UsageError(
            f"{file} holds no image but plain files: it has no manifest.json",
            hint=f"where the image is: docker save --output {file.name} {name}",
        )
    tags = [tag for entry in entries for tag in entry.get("RepoTags") or ()]
    if not any(same_image(tag, name) for tag in tags):
        holds = ", ".join(tags) or "an image without a name"
        raise UsageError(
            f"{file} does not hold {name}, but {holds}",
            hint=f"docker save {name}  where that image is"
            + (f"; or upgrade to what it holds: wbagent server upgrade {tags[0]} --from-file {file}" if tags else ""),
        )


def _member(archive: tarfile.TarFile, name: str) -> bytes | None:
    for entry in archive:
        if entry.name.removeprefix("./") == name and entry.isfile():
            opened = archive.extractfile(entry)
            return opened.read() if opened else None
    return None


def _require(name: str, otherwise: str) -> None:
    if not is_here(name):
        raise DockerError(otherwise, hint=f"docker image ls; docker tag IMAGE {name}")


class _Layers:
    """Adds up the progress that Docker tells of each layer; reports at most twice a second."""

    def __init__(self, report: Reporter) -> None:
        self._report = report
        self._began = time.monotonic()
        self._next = 0.0
        self._layers: dict[tuple[str, str], tuple[int, int]] = {}

    def take(self, entry: dict[str, Any]) -> None:
        """One line of what Docker says."""
        stage, detail = _COUNTED.get(str(entry.get("status"))), entry.get("progressDetail") or {}
        if stage is None or not detail.get("current"):
            return
        current = int(detail["current"])
        self._layers[(stage, str(entry.get("id")))] = current, max(int(detail.get("total") or 0), current)
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _EVERY_S
            self._tell(stage)

    def done(self) -> None:
        """It is over, and went well."""
        for stage in {stage for stage, _ in self._layers}:
            for key, (_, total) in self._layers.items():
                if key[0] == stage:
                    self._layers[key] = total, total
            self._tell(stage)

    def _tell(self, stage: str) -> None:
        counted = [pair for (each, _), pair in self._layers.items() if each == stage]
        read, whole = sum(pair[0] for pair in counted), sum(pair[1] for pair in counted)
        elapsed = time.monotonic() - self._began
        self._report(Progress(stage, read, 0, elapsed, whole, finished=read == whole))


def _read(descriptor: int, report: Reporter) -> Iterator[bytes]:
    """The file's bytes, reported as they are taken."""
    whole, read, began, told = os.fstat(descriptor).st_size, 0, time.monotonic(), 0.0
    while chunk := os.read(descriptor, _CHUNK):
        yield chunk
        read += len(chunk)
        now = time.monotonic()
        if now - told >= _EVERY_S or read == whole:
            told = now
            report(Progress("loading", read, 0, now - began, whole, finished=read == whole))


def _client() -> docker.APIClient:
    return _told(lambda: docker.APIClient(base_url=SOCKET, version="auto", timeout=_TIMEOUT_S), "connect")


def _follow(begin: Callable[[], Iterator[dict[str, Any]]], doing: str, layers: _Layers) -> None:
    """Take in what Docker streams; a failure half-way comes as an entry, not as a status."""

    def follow() -> None:
        for entry in begin():
            # `message` is what an HTTP error's body says: the SDK does not look at a load's status.
            if why := entry.get("error") or entry.get("message"):
                raise DockerError(f"Docker could not {doing}: {why}", hint=_advice(str(why)))
            layers.take(entry)

    _told(follow, doing)
    layers.done()


def _advice(why: str) -> str:
    if "no space left" in why:
        return "df -h; docker system df; make room where Docker keeps its images"
    if "manifest unknown" in why or "not found" in why:
        return "check the tag against W&B's release notes"
    if "unauthorized" in why or "denied" in why:
        return "docker login, as root: the upgrade uses root's credentials"
    return "docker pull shows more; without a registry: docker save elsewhere, and --from-file here"


def _told(call: Callable[[], _T], doing: str) -> _T:
    """What the call gives, the SDK's errors turned into ours."""
    try:
        return call()
    except docker.errors.APIError as error:
        why = str(error.explanation or error)
        raise DockerError(f"Docker could not {doing}: {why}", hint=_advice(why)) from None
    except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
        raise DockerAwayError(
            f"cannot reach Docker to {doing}: {type(error).__name__}", hint="systemctl status docker.service"
        ) from None
