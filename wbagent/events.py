"""The MESSAGE_ID of every event that wbagent writes to the journal; `units/wbagent.catalog` explains each."""

from __future__ import annotations

from typing import Final

# 128-bit ids as journald wants them (sd-id128(3)). An id never changes its meaning: a new event gets a new one.
FAILURE: Final = "7b6a1f2c6b0e4b7e9a1f6c2d3e4f5a60"
CONFIG_INVALID: Final = "2f0c7d6e0b5d4c0f8c2b7a9e1d3f4b61"
CONFIG_LOADED: Final = "9d2b6f4e7a1c4e5d8f3a0b6c5d7e8f62"
SERVER_STARTING: Final = "c1e5a7b39d2f4c6e8a0b1d3f5a7c9e63"
SERVER_READY: Final = "5e8d3c1b7f9a4d2e6b0c8a1f3d5e7b64"
SERVER_ENDED: Final = "a4f7b2d9c6e14a3f8d5b0c7e9f1a2b65"
SERVER_RESTARTED: Final = "d3c8e1f5a7b94c2d6e0f8a3b5c7d9e66"
LIVENESS_FAILED: Final = "8f1a6b4c2d7e4f9a0b3c5d8e6f1a7b67"
READINESS_LOST: Final = "1b7c9d5e3f8a4b6c2d0e7f4a9b5c8d68"
DOCKER_AWAY: Final = "6e2d8f4b1a9c4e7d3f5b0a8c6d2e9f69"
BACKUP_STARTED: Final = "b5d1e9f3c7a84d6b2e0f9c4a8d3b7e6a"
BACKUP_DONE: Final = "3a9e7c5d1f6b4e8a0d2c7b9f5e1a4c6b"
BACKUP_FAILED: Final = "f8b4d6a2e0c94f7b1d3e5a9c6f8b2d6c"
BACKUP_MISSED: Final = "4c7e1a9d5b3f4d8c6a0e2f7b9d1c5e6d"
RETENTION_DONE: Final = "e9a3c5f7d1b84e6a0c2d4f8b6e9a1c6e"
RESTORE_DONE: Final = "7d5f3b1e9c8a4f2d6b0a7e5c3d9f1b6f"
ALERT_FIRING: Final = "0e6b8d4f2a7c4b9e5d1f3a8c6e0b7d70"
ALERT_RESOLVED: Final = "a8d2f6c4e0b74d1f9a3c5e7b8d2f4a71"
DELIVERY_FAILED: Final = "5b9f1d7c3e6a4c8b0f2d6e4a9b5c7f72"
UNIT_FAILED: Final = "c6a0e8b4d2f94a7c1e5b3d9f7c6a0e73"
DATABASE_AWAY: Final = "2d4f6b8a0c1e4f3d7b9a5c6e8d0f2b74"
PAUSE_BEGAN: Final = "8c2e4a6f1d7b4f3a9e5c0b8d6f2a4c77"
PAUSE_ENDED: Final = "d1f3b5a7c9e84b6d8f0a2c4e6b8d0f78"
RESTART_NEEDED: Final = "3f7a9c1e5b8d4d2f8e6a0c4b7d9f1e76"
SERVER_EMBEDDED: Final = "6a8c0e2f4d1b4a7d9c5e3f7b1a9d5c79"
DATABASE_BACK: Final = "9e1c3a5f7d8b4e6c0a2d4b6f9e1c3a75"
