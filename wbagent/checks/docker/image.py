"""The image of the server: on this host, or to be had from its registry, and one that may run here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from wbagent.checks.check import Finding, fail, note, passed, warn
from wbagent.checks.docker.look import Daemon
from wbagent.config import Settings
from wbagent.errors import DockerError
from wbagent.server.container import Docker, DockerAwayError

_PLATFORM: Final = "linux/amd64"
# Docker itself waits longer, which is more than a check may take: behind a firewall that drops, nobody ever answers.
_REGISTRY_S: Final = 15.0


def image(_daemon: Daemon, settings: Settings) -> Finding:
    """Looked up, not pulled."""
    if settings.server is None:
        return note(
            "no image is configured yet",
            needed="the release to run",
            remedy='image = "wandb/local:0.83.0"    # in [server] of /etc/wbagent.toml',
        )
    name = settings.server.image
    with Docker() as docker:
        if found := docker.inspect_image(name):
            return judge_platforms(name, [f"{found.get('Os')}/{found.get('Architecture')}"])
        try:
            entry = docker.registry_entry(name, _REGISTRY_S)
        except DockerAwayError:
            return judge_unreachable(name, f"no word from its registry within {_REGISTRY_S:g} s")
        except DockerError as error:
            return judge_unreachable(name, error.message)
    if entry is None:
        return judge_unreachable(name, "its registry has no such image")
    platforms = [f"{each.get('os')}/{each.get('architecture')}" for each in entry.get("Platforms") or ()]
    judged = judge_platforms(name, platforms or [_PLATFORM])
    return judged if judged.verdict == "fail" else judge_pullable(name)


def judge_platforms(name: str, platforms: Iterable[str]) -> Finding:
    """Of the image on this host, or of the choice that its registry offers."""
    if _PLATFORM in platforms:
        return passed(f"{name} is on this host, for x86-64")
    return fail(
        f"{name} is for {', '.join(platforms)}",
        needed=f"an image for {_PLATFORM}",
        remedy=f"docker pull --platform {_PLATFORM} {name}",
    )


def judge_pullable(name: str) -> Finding:
    """The next thing to do, and nothing that is wrong."""
    return warn(
        f"{name} is not on this host; its registry has it",
        needed="the image on this host before the server is started",
        remedy=f"docker pull {name}",
    )


def judge_unreachable(name: str, why: str) -> Finding:
    """Neither here nor, as far as can be told, there."""
    return fail(
        f"{name} is not on this host, and not to be had: {why}",
        needed="the image on this host before the server is started",
        remedy=f"docker login REGISTRY && docker pull {name}    # where the registry wants credentials\n"
        "docker load --input FILE    # where it cannot be reached",
    )
