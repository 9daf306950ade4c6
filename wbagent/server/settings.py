"""What the runner needs of the configuration, resolved: kept from one run of the unit to the next by systemd."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final, Self

from wbagent.config.sources import snapshot
from wbagent.server.specification import Specification, specification
from wbagent.systemd import fdstore

if TYPE_CHECKING:
    from pathlib import Path

    from wbagent.config.server import ServerSettings

_STORED: Final = "settings"


@dataclass(frozen=True, slots=True)
class Probes:
    """[server.probes], as the model has it."""

    startup_failures: int
    startup_period: float
    liveness_failures: int
    liveness_period: float
    timeout: float
    unready_after: float


@dataclass(frozen=True, slots=True)
class RunSettings:
    """[server] as far as running it goes; `sliced` and `unsliced` are the container with and without a slice for it.

    It holds secrets: the container's environment.
    """

    host: str
    port: int
    stop_timeout: float
    embedded: bool
    probes: Probes
    sliced: Specification
    unsliced: Specification

    def specification(self, *, systemd_cgroups: bool) -> Specification:
        """What the container is to be; `systemd_cgroups`: whether Docker's cgroup driver is systemd."""
        return self.sliced if systemd_cgroups else self.unsliced

    @classmethod
    def of(cls, settings: ServerSettings, key: bytes) -> Self:
        """Resolve what was read; `key` is this host's `digest_key()`."""
        return cls(
            settings.host,
            settings.port,
            settings.stop_timeout,
            settings.embedded,
            Probes(**settings.probes.model_dump()),
            specification(settings, systemd_cgroups=True, key=key),
            specification(settings, systemd_cgroups=False, key=key),
        )

    def to_json(self) -> bytes:
        """As `from_json` reads it."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """What `to_json` gave. Raises ValueError, TypeError or KeyError for anything else."""
        fields = json.loads(text)
        made = {name: Specification(**fields[name]) for name in ("sliced", "unsliced")}
        return cls(**fields | made | {"probes": Probes(**fields["probes"])})


@dataclass(frozen=True, slots=True)
class Kept:
    """Settings with the snapshot of what they were read from; `secret_files` are those that KEY_file keys name."""

    snapshot: str
    secret_files: tuple[str, ...]
    settings: RunSettings

    def to_json(self) -> bytes:
        """As `from_json` reads it."""
        head = {"snapshot": self.snapshot, "secret_files": self.secret_files}
        return json.dumps(head).encode() + b"\n" + self.settings.to_json()

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """What `to_json` gave. Raises ValueError, TypeError or KeyError for anything else."""
        head, _, settings = text.partition(b"\n")
        fields = json.loads(head)
        return cls(str(fields["snapshot"]), tuple(fields["secret_files"]), RunSettings.from_json(settings))

    def keep(self) -> None:
        """Let the unit's next run have it."""
        fdstore.keep(_STORED, self.to_json())


def kept(path: Path, content: bytes | None = None) -> RunSettings | None:
    """The settings of an earlier run of the unit, if reading the configuration now would give the same.

    Invariant: None whenever a file, a credential, one's rights or the release differs from then, or what was kept
    cannot be understood; then all is read and checked anew. Kept is only what had passed every check.
    """
    content = fdstore.stored(_STORED) if content is None else content
    if content is None:
        return None
    try:
        found = Kept.from_json(content)
        return found.settings if snapshot(path, found.secret_files) == found.snapshot else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
