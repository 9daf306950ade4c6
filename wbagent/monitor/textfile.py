"""Metrics as a file for the textfile collector of Prometheus' node_exporter: replaced at once, never half written."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from wbagent.errors import StateError
from wbagent.monitor.exposition import Families, encode
from wbagent.monitor.sample import Sample


def write(path: Path, samples: Iterable[Sample]) -> None:
    """Replace the file, readable for everybody; raises StateError."""
    content, _ = encode(Families(samples))
    # Not prometheus_client's own writer: what that writes has the process's umask, and node_exporter is another user.
    # The collector takes *.prom only, so it never sees the unfinished one.
    fresh = path.with_name(f".{path.name}.new")
    try:
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o644)
            file.write(content)
        fresh.rename(path)
    except OSError as error:
        raise StateError(
            f"the metrics cannot be written to {path}: {error.strerror}",
            hint="name a file in /run/wbagent-metrics in [metrics] textfile, or let wbagent.service write there:"
            " systemctl edit wbagent, ReadWritePaths=",
        ) from None
