"""Metrics as a file for the textfile collector of Prometheus' node_exporter: replaced at once, never half written."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from wbagent.errors import StateError
from wbagent.monitor.backup_facts import BackupFacts

_HELP = {
    "wbagent_backup_last_success_timestamp_seconds": "When the newest committed backup was finished.",
    "wbagent_backup_last_proven_timestamp_seconds": "When the newest backup that a drill has proven was finished.",
    "wbagent_backup_last_failure_timestamp_seconds": "When a backup failed last.",
    "wbagent_backup_age_seconds": "For how long there has been no newer backup that counts, by a clock nobody sets.",
    "wbagent_backup_fresh_within_seconds": "The age at which the alert fires.",
    "wbagent_backup_size_bytes": "Size of the newest backup as it is stored.",
    "wbagent_backup_plain_size_bytes": "Size of the newest backup before compression.",
    "wbagent_backup_previous_plain_size_bytes": "Size of the backup before the newest, before compression.",
    "wbagent_backup_duration_seconds": "How long the newest backup took.",
    "wbagent_backup_drill_ok": "1 when the newest drill proved its backup, 0 when not.",
    "wbagent_backup_off_site": "1 when the newest backup is in a bucket, 0 when on this host.",
    "wbagent_backup_beside_database": "1 when the newest backup is on the machine of the database.",
    "wbagent_binlog_lag_seconds": "For how long the database's work has not been stored, 0 when all of it is.",
    "wbagent_binlog_last_event_timestamp_seconds": "When the newest stored transaction was committed.",
    "wbagent_binlog_gap": "1 when transactions can never be stored any more and no backup covers that yet.",
    "wbagent_alerts_firing": "How many alerts fire.",
}


def metrics(
    facts: BackupFacts, age: float | None, fresh_within: float, firing: int, binlog: Mapping[str, float]
) -> dict[str, float]:
    """The value of each metric that is known; `age` in seconds, None where no backups are wanted.

    `binlog`: those of the storing of binary logs, by the ends of their names.
    """
    last, found = facts.last, {"wbagent_alerts_firing": float(firing)}
    found |= {f"wbagent_binlog_{name}": value for name, value in binlog.items()}
    if age is not None:
        found |= {"wbagent_backup_age_seconds": age, "wbagent_backup_fresh_within_seconds": fresh_within}
    if facts.failed:
        found["wbagent_backup_last_failure_timestamp_seconds"] = facts.failed
    if facts.proven:
        found["wbagent_backup_last_proven_timestamp_seconds"] = float(facts.proven["finished_at"])
    if facts.drill.get("result") in {"proven", "disproven", "not done"}:
        found["wbagent_backup_drill_ok"] = float(facts.drill["result"] == "proven")
    names = {
        "last_success_timestamp_seconds": "finished_at",
        "size_bytes": "stored_bytes",
        "plain_size_bytes": "plain_bytes",
        "previous_plain_size_bytes": "previous_plain_bytes",
        "duration_seconds": "duration_s",
        "off_site": "off_site",
        "beside_database": "beside_database",
    }
    return found | {f"wbagent_backup_{name}": float(last[key]) for name, key in names.items() if key in last}


def write(path: Path, values: Mapping[str, float]) -> None:
    """Replace the file, readable for everybody; raises StateError."""
    from prometheus_client import CollectorRegistry, Gauge, generate_latest  # noqa: PLC0415 - 1.2 MB, when asked for

    registry = CollectorRegistry()
    for name, value in values.items():
        Gauge(name, _HELP[name], registry=registry).set(value)
    # Not prometheus_client's own writer: what that writes has the process's umask, and node_exporter is another user.
    # The collector takes *.prom only, so it never sees the unfinished one.
    fresh = path.with_name(f".{path.name}.new")
    try:
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o644)
            file.write(generate_latest(registry))
        fresh.rename(path)
    except OSError as error:
        raise StateError(
            f"the metrics cannot be written to {path}: {error.strerror}",
            hint="name a file in /run/wbagent-metrics in [metrics] textfile, or let wbagent.service write there:"
            " systemctl edit wbagent, ReadWritePaths=",
        ) from None
