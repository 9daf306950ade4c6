"""Which engine takes the backup."""

from __future__ import annotations

from wbagent.backup.engines.engine import Engine
from wbagent.backup.engines.mysqldump import Mysqldump
from wbagent.backup.source import Source
from wbagent.config.dsn import MysqlURL
from wbagent.config.model import BackupSettings


def choose(settings: BackupSettings, url: MysqlURL, source: Source) -> Engine:
    """The engine for this server, checked; raises DatabaseError, BackupError when there is none."""
    return Mysqldump(url, settings.mysqldump, source)
