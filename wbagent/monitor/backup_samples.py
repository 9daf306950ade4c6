"""What backups and drills have left, as samples for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from wbagent.monitor.backup_facts import BackupFacts
from wbagent.monitor.sample import Sample

_OF_THE_NEWEST: Final[Mapping[str, str]] = {
    "wbagent_backup_last_success_timestamp_seconds": "finished_at",
    "wbagent_backup_size_bytes": "stored_bytes",
    "wbagent_backup_plain_size_bytes": "plain_bytes",
    "wbagent_backup_previous_plain_size_bytes": "previous_plain_bytes",
    "wbagent_backup_duration_seconds": "duration_s",
    "wbagent_backup_off_site": "off_site",
    "wbagent_backup_beside_database": "beside_database",
}


def backup_samples(facts: BackupFacts, age: float | None, fresh_within: float) -> Iterator[Sample]:
    """Each that is known; `age` in seconds, None where no backups are wanted."""
    if age is not None:
        yield Sample("wbagent_backup_age_seconds", age)
        yield Sample("wbagent_backup_fresh_within_seconds", fresh_within)
    if facts.failed:
        yield Sample("wbagent_backup_last_failure_timestamp_seconds", facts.failed)
    if facts.proven:
        yield Sample("wbagent_backup_last_proven_timestamp_seconds", float(facts.proven["finished_at"]))
    if facts.drill.get("result") in {"proven", "disproven", "not done"}:
        yield Sample("wbagent_backup_drill_ok", float(facts.drill["result"] == "proven"))
    for name, key in _OF_THE_NEWEST.items():
        if key in facts.last:
            yield Sample(name, float(facts.last[key]))
