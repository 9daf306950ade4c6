"""Which parts of the product a host's configuration asks for."""

from __future__ import annotations

from collections.abc import Mapping

from wbagent.config import Settings


def configured(settings: Settings) -> Mapping[str, bool]:
    """A truth value for each part: server, embedded, database, backup, binlog, drill."""
    database = settings.database_url() is not None
    return {
        "server": settings.server is not None,
        "embedded": settings.server is not None and settings.server.embedded,
        "database": database,
        "backup": database and settings.backup.enabled,
        "binlog": database and settings.backup.binlog.enabled,
        "drill": database and settings.backup.enabled and settings.backup.drill.enabled,
    }
