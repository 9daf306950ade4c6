"""How a run comes by its container: it takes over the one that is exactly what is wanted, or makes a new one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from wbagent import events
from wbagent.errors import DockerError
from wbagent.server import history
from wbagent.server.container import Docker, ForeignContainerError, Found
from wbagent.server.foreign import whose
from wbagent.server.history import Reason
from wbagent.server.probe import LIVENESS, Answer, probe
from wbagent.server.settings import RunSettings
from wbagent.server.specification import NAME, Specification
from wbagent.systemd import journal
from wbagent.systemd.notify import extension, notify

# How much longer systemd is asked to wait at a time: more than a probe with its pause, or a call to Docker, can take.
EXTENSION_S: Final = 45.0


@dataclass(frozen=True, slots=True)
class Begun:
    """A container that runs: a new one, or `adopted` from a dead runner.

    `alive` is what one that was adopted answered; None while it is still on its first way to readiness.
    """

    container: str
    adopted: bool = False
    alive: Answer | None = None


def begin(docker: Docker, wanted: Specification, settings: RunSettings) -> Begun:
    """Raises DockerError, one of its kinds where it is one."""
    return _adopt(docker, wanted, settings) or _create(docker, wanted)


def _adopt(docker: Docker, wanted: Specification, settings: RunSettings) -> Begun | None:
    """The container that a dead runner left, when it is exactly what is wanted: users then notice nothing."""
    found = docker.find()
    if found is None:
        return None
    if found.digest is None:
        raise ForeignContainerError(
            f"a container named {NAME} is there that wbagent did not create: {whose(docker.inspect(found.id))}",
            hint=f"docker stop {NAME} && docker rename {NAME} {NAME}-old",
        )
    if found.running and found.digest == wanted.digest:
        alive = _answer(found, settings)
        # One that answers only at its own address has lost docker-proxy: to users it is dead.
        if alive is None or (alive.ok and not alive.detour):
            journal.send(f"adopted the running container {found.id[:12]}", message_id=events.SERVER_STARTING)
            return Begun(found.id, adopted=True, alive=alive)
    elif found.running:
        grace = settings.stop_timeout
        notify("STATUS=stopping a container of another configuration", extension(grace + EXTENSION_S))
        docker.stop(found.id, grace)
    # A stopped wandb/local cannot be started again: its entrypoint is not idempotent (wandb/server #8, #19, #36).
    docker.remove(found.id)
    return None


def _answer(found: Found, settings: RunSettings) -> Answer | None:
    """Its answer; None of one that never was ready and is not asked: killing a migration would leave it dirty."""
    was_ready = any(record.reason is Reason.READY and record.container == found.id[:12] for record in history.read())
    return probe(found.addresses, LIVENESS, settings.probes.timeout) if was_ready else None


def _create(docker: Docker, wanted: Specification) -> Begun:
    notify(f"STATUS=starting {wanted.image}", extension(EXTENSION_S))
    journal.send(f"starting {wanted.image}", message_id=events.SERVER_STARTING, image=wanted.image)
    container = docker.create(wanted)
    try:
        docker.start(container)
    except DockerError:
        docker.remove(container)
        raise
    return Begun(container)
