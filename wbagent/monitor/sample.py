"""A sample: one number that was read, named as Prometheus names it."""

from __future__ import annotations

from dataclasses import dataclass

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """`name` follows Prometheus' conventions: base units, `_total` for what only grows ("wbagent_disk_free_bytes").

    `labels` say which of several, sorted by name: (("path", "/var/lib/mysql"),).
    """

    name: str
    value: float
    labels: Labels = ()
