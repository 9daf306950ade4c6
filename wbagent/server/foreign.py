"""Says whose a container is that somebody else made: enough to find that person, and nothing that may be secret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

# Who starts containers by themselves, and the label by which each knows its own.
_MAKERS: Final = (
    ("com.docker.compose.project", "Docker Compose, project"),
    ("com.docker.swarm.service.name", "Docker Swarm, service"),
    ("com.docker.stack.namespace", "Docker stack"),
    ("io.kubernetes.pod.name", "Kubernetes, pod"),
    ("PODMAN_SYSTEMD_UNIT", "systemd unit"),
)
_COMPOSE_DIRECTORY: Final = "com.docker.compose.project.working_dir"


def whose(details: Mapping[str, Any] | None) -> str:
    """What Docker tells of it, in one line.

    Invariant: of its command only the program is named, of its labels only those that tell its maker, of its
    environment nothing: the rest may hold a password.
    """
    if details is None:
        return "it is gone again"
    config = details["Config"]
    labels = config.get("Labels") or {}
    state = "running" if details["State"]["Running"] else str(details["State"].get("Status") or "not running")
    parts = [f"image {config['Image']}", f"created {str(details['Created'])[:19]}Z", state]
    if program := details.get("Path"):
        parts.append(f"program {program}")
    parts += [f"made by {maker} {labels[label]}" for label, maker in _MAKERS if label in labels]
    if directory := labels.get(_COMPOSE_DIRECTORY):
        parts.append(f"in {directory}")
    policy = (details["HostConfig"].get("RestartPolicy") or {}).get("Name") or "no"
    if policy != "no":
        parts.append(f"Docker starts it by itself (restart policy {policy})")
    return ", ".join(parts)
