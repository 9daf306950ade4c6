"""What a restart of the server would change: pure functions over the running container and the configuration."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wbagent.quantities import format_size
from wbagent.server.history import Reason, Record, newest
from wbagent.server.specification import CLOSED, CONTAINER_PORT, HASH_LABEL, Specification, specification

if TYPE_CHECKING:
    from wbagent.config.server import ServerSettings


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that a restart would change, in words that hold no secret: values of the environment never show."""

    name: str
    running: str
    wanted: str

    def sentence(self) -> str:
        """For people, e.g. `memory: 8.00G -> 16.0G` or `environment MYSQL: changed`."""
        return f"{self.name}: {self.running} -> {self.wanted}" if self.running else f"{self.name}: {self.wanted}"


def differences(
    container: Mapping[str, Any],
    of_image: Mapping[str, Any],
    wanted: Specification,
    wanted_image_id: str | None,
    unlimited: Collection[str] = (),
) -> tuple[Difference, ...]:
    """Compare `docker inspect` of the container and of the image that it was made from with what is wanted.

    `wanted_image_id` is the id that the wanted image's name means on this host now; None when it is not there.
    Invariant: empty exactly when the container bears the wanted specification's hash and its image is the one that the
    name means. What Docker takes from the image (user, environment) is no difference, nor is a limit that Docker
    dropped since this host's kernel knows none: `unlimited` names those ("memory", "processors").
    """
    found = list(_image(container, wanted, wanted_image_id))
    same_hash = (container["Config"].get("Labels") or {}).get(HASH_LABEL) == wanted.digest
    if same_hash:
        return tuple(found)
    found += _environment(container, of_image, wanted)
    have, want = (
        _settings(container["Config"], container["HostConfig"]),
        _settings(wanted.config, wanted.config["HostConfig"]),
    )
    image_config = of_image.get("Config") or {}
    want["user"] = want["user"] or str(image_config.get("User") or "")
    found += [
        Difference(name, have[name] or "none", want[name] or "none")
        for name in have
        if have[name] != want[name] and name not in unlimited
    ]
    if not found:
        limits = f"limits of {' and '.join(sorted(unlimited))} that this kernel cannot set were changed, or "
        release = "the container was made by another release of wbagent"
        found.append(Difference("specification", "", (limits if unlimited else "") + release))
    return tuple(found)


def _image(container: Mapping[str, Any], wanted: Specification, wanted_image_id: str | None) -> Iterator[Difference]:
    named = str(container["Config"]["Image"])
    missing = " (NOT on this host: docker pull it first)" if wanted_image_id is None else ""
    if named != wanted.image:
        yield Difference("image", named, wanted.image + missing)
    elif wanted_image_id is None:
        yield Difference("image", "", f"{named} is not on this host any more: a restart would fail")
    elif container["Image"] != wanted_image_id:
        yield Difference("image", "", f"the name {named} means another image now ({wanted_image_id[:19]})")


def _environment(
    container: Mapping[str, Any], of_image: Mapping[str, Any], wanted: Specification
) -> Iterator[Difference]:
    from_image = set((of_image.get("Config") or {}).get("Env") or ())
    have = dict(_pair(entry) for entry in container["Config"].get("Env") or () if entry not in from_image)
    want = dict(_pair(entry) for entry in wanted.config["Env"])
    for name in sorted(have.keys() | want.keys()):
        # What the image itself sets to the wanted value is not in `have`.
        if name not in have and f"{name}={want[name]}" not in from_image:
            yield Difference(f"environment {name}", "", "added")
        elif name in have and name not in want:
            yield Difference(f"environment {name}", "", "removed")
        elif name in have and have[name] != want[name]:
            yield Difference(f"environment {name}", "", "changed")


def _pair(entry: str) -> tuple[str, str]:
    name, _, value = entry.partition("=")
    return name, value


def _settings(config: Mapping[str, Any], host: Mapping[str, Any]) -> dict[str, str]:
    bindings = (host.get("PortBindings") or {}).get(CONTAINER_PORT) or ()
    log = host.get("LogConfig") or {}
    period = host.get("CpuPeriod") or 0
    return {
        "user": str(config.get("User") or ""),
        "port": ", ".join(f"{binding.get('HostIp') or '0.0.0.0'}:{binding['HostPort']}" for binding in bindings),
        "volume": ", ".join(sorted(host.get("Binds") or ())),
        "processors": f"{host['CpuQuota'] / period:g}" if period else "",
        "memory": format_size(host["Memory"]) if host.get("Memory") else "",
        "limits of processes": ", ".join(
            f"{limit['Name']}={limit['Soft']}:{limit['Hard']}"
            for limit in sorted(host.get("Ulimits") or (), key=lambda limit: str(limit["Name"]))
        ),
        "CA certificates": ", ".join(str(mount["Source"]) for mount in host.get("Mounts") or ()),
        "slice": str(host.get("CgroupParent") or ""),
        "stop timeout": f"{config['StopTimeout']}s" if config.get("StopTimeout") is not None else "",
        "restart policy": str((host.get("RestartPolicy") or {}).get("Name") or "no"),
        "log driver": str(log.get("Type") or ""),
    }


def wanted_digests(settings: ServerSettings, key: bytes) -> dict[str, str]:
    """The hash of the wanted specification with and without Docker's systemd cgroups; only the runner knows which."""
    return {str(cgroups): specification(settings, systemd_cgroups=cgroups, key=key).digest for cgroups in (False, True)}


def restart_needed(records: Iterable[Record], wanted: Mapping[str, str]) -> bool:
    """Whether the server that runs was started with other settings than `wanted` (from `wanted_digests`).

    Invariant: only a running server can need it: after an end the next start takes the new settings anyway. A record
    of a release that noted no hash tells nothing.
    """
    last = newest(records)
    if last is None or last.reason is not Reason.READY or not last.digest:
        return False
    # That the server is closed is no setting; who closed it opens it.
    digest = last.digest.removesuffix(CLOSED)
    return digest != wanted.get(str(last.systemd_cgroups), digest)
