"""A pair of age's keys to test with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from wbagent.age import Identity


@dataclass(frozen=True)
class Key:
    """A pair of age's keys; `path` is the identity file."""

    public: str
    path: Path

    @property
    def identity(self) -> Identity:
        return Identity(self.path.read_text())
