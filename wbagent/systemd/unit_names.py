"""The names of the product's units that are started, watched or told of by name."""

from __future__ import annotations

from typing import Final

SERVER_UNIT: Final = "wandb-local.service"
AGENT_UNIT: Final = "wbagent.service"
BACKUP_UNIT: Final = "wbagent-backup.service"
BINLOG_UNIT: Final = "wbagent-binlog.service"
DELIVER_UNIT: Final = "wbagent-deliver.service"
DRILL_UNIT: Final = "wbagent-drill.service"
UPGRADE_UNIT: Final = "wbagent-upgrade.service"
