"""A commit record to test with, any part of which can be changed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from wbagent.backup.manifest import DatabaseRecord, Manifest, ServerRecord, StoredObject, TableRecord

ID = "20261124T030000Z"


def manifest(**changes: Any) -> Manifest:
    """A record as of 2026-11-24 with `changes`."""
    values: dict[str, Any] = {
        "id": ID,
        "owner": "host1",
        "host": "host1.example.com",
        "options": ("--single-transaction",),
        "tools": {"mysqldump": "Ver 9.7.4"},
        "server": ServerRecord(version="9.7.4", comment="(Debian)", host="db1", uuid="u"),
        "database": DatabaseRecord(
            name="wandb_local", address="db1:3306/wandb_local", charset="utf8mb4", collation="utf8mb4_general_ci"
        ),
        "position": None,
        "tables": (TableRecord(name="runs", engine="InnoDB", rows=3, rows_estimate=4),),
        "views": (),
        "routines": (),
        "triggers": (),
        "events": (),
        "engine": "mysqldump",
        "objects": (
            StoredObject(file="database.sql.zst", size=4, sha256="0" * 64, plain_size=9, plain_sha256="1" * 64),
        ),
        "started_at": datetime(2026, 11, 24, 3, 0, tzinfo=UTC),
        "finished_at": datetime(2026, 11, 24, 3, 1, tzinfo=UTC),
        "duration_s": 60.0,
        "warnings": (),
    }
    return Manifest(**(values | changes))
