"""The MESSAGE_ID of every event that wbagent writes to the journal; `units/wbagent.catalog` explains each."""

from __future__ import annotations

from collections.abc import Mapping
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
STATE_DAMAGED: Final = "5c7e9b1d3f0a4c6e8f2b4d6a8c0e2f80"
RESTORE_DONE: Final = "7d5f3b1e9c8a4f2d6b0a7e5c3d9f1b6f"
DRILL_DONE: Final = "256dbedcc11cb89b2be98d2acbf11731"
DRILL_FAILED: Final = "515bccdb548ea839c24e26d5659a49b9"
DRILL_IMPOSSIBLE: Final = "cb12ef959662cd51f5f1f472d4a42243"
ALERT_FIRING: Final = "0e6b8d4f2a7c4b9e5d1f3a8c6e0b7d70"
ALERT_RESOLVED: Final = "a8d2f6c4e0b74d1f9a3c5e7b8d2f4a71"
DELIVERY_FAILED: Final = "5b9f1d7c3e6a4c8b0f2d6e4a9b5c7f72"
UNIT_FAILED: Final = "c6a0e8b4d2f94a7c1e5b3d9f7c6a0e73"
DATABASE_AWAY: Final = "2d4f6b8a0c1e4f3d7b9a5c6e8d0f2b74"
PAUSE_BEGAN: Final = "8c2e4a6f1d7b4f3a9e5c0b8d6f2a4c77"
PAUSE_ENDED: Final = "d1f3b5a7c9e84b6d8f0a2c4e6b8d0f78"
UPGRADE_BEGUN: Final = "6c0e2a4b8d1f4c7e9b3d5f7a1c8e0b79"
UPGRADE_DONE: Final = "b2d4f6a8c0e14b3d8f5a7c9e1b3d6f7a"
UPGRADE_FAILED: Final = "e7a9c1d3f5b84a6c9d0e2f4b6a8c1d7b"
UPGRADE_STUCK: Final = "4f6b8d0a2c5e4d7f8a1b3c9e5d7f0a7c"
RESTART_NEEDED: Final = "3f7a9c1e5b8d4d2f8e6a0c4b7d9f1e76"
SERVER_EMBEDDED: Final = "6a8c0e2f4d1b4a7d9c5e3f7b1a9d5c79"
DATABASE_BACK: Final = "9e1c3a5f7d8b4e6c0a2d4b6f9e1c3a75"
BINLOG_STARTED: Final = "5d7f9b1e3a6c4e8fb0d2c4a68e1f7a80"
BINLOG_INTERRUPTED: Final = "8b0d2f4a6c9e4b1d9f3a5c7e0b2d4f81"
BINLOG_GAP: Final = "c3e5a7092b4d4f6e8a1c3e5f7b9d0a82"

# The beginning of each kind of alert. Its repetitions are ALERT_FIRING, its end is ALERT_RESOLVED.
ALERTS: Final[Mapping[str, str]] = {
    "no-data": "1a5f2989ac814acb9cc763bf2b48e502",
    "cpu": "a03f7a1c2f0d4ecba54b2e021c2e8c38",
    "cpu-unit": "093be89ac8564211a86357007825357f",
    "disk-low": "a64771b161db4fa2ac91152597702711",
    "disk-hangs": "6f0541aac51547d0adb5d6822b64f098",
    "disk-full": "ab8711d709fb4b0f8875ecfeb76778d8",
    "disk-inodes": "99d0f6c1e80a49f4b6fe5b58511b1163",
    "disk-filling": "542b19066bf84a0eb6d3fc58f93f1fcc",
    "memory-low": "dab4e8f16b7144ecb946586665d80661",
    "memory-waiting": "5b4c9d2da8a8484eb0c8d8330304bcbd",
    "oom-kill": "28c4d3ad4a4b420ebd05419419324e40",
    "clock": "aa93aa937d4745cfa5cd475fffdad69e",
    "unit-down": "708abb25108044929a8377cf9b308ee0",
    "server-failed": "c53889abc4da43cc92c170a8e5e7360b",
    "server-down": "5da79ded10934280a5aabce8b56a0568",
    "server-unready": "7431a9afe8c34f6a8d3bf49b0f959787",
    "server-crash-loop": "f2fe92588075485eae0b0cd8519c29aa",
    "database-away": "3beec115c9244b099e4c74568e4ca584",
    "network": "744e01db6dfc460e8f0ee86d98d7de68",
    "mysql-connections": "9fe1ea9c5f4e4359873a67a182b3b8f5",
    "mysql-transaction": "e590607eb07149398ac294044317d8a0",
    "mysql-history": "829b84d3b61043638f187f56fc6f46ff",
    "mysql-deadlocks": "8e644c53deca4a12bb14251807c74076",
    "mysql-fsync": "305caf459e4a4550b024816d3ea34eb6",
    "mysql-unseen": "3b70a99dc5f44ad69df3d55d32dd1fb6",
    "standby-away": "b8c7a996ad004745b45255b3c65d2fa8",
    "replication-stopped": "13e56345f38f4ba8b13a06584e6fe75f",
    "replication-lag": "cfdb9f2e027442e5a17a9e64f6e459de",
    "certificate-expiry": "3ec64f74deed4dfdb5926ffa120ba2f4",
    "certificate-refused": "3d744e7500e743aaaf8578a1bad147cd",
    "outside": "0a8df141041c4038b7faa810a36851c1",
    "outside-slow": "233057fea6b1483b80b9bcee6f1e3a4f",
    "store": "9ddcfe6038814086b297bdf77bd1d61c",
    "store-slow": "2e6b22930e504526922a5ecfa5db2586",
    "backup-stale": "c9d1f3a5b7e84c2d9f0b1a3c5e7d9f7b",
    "backup-shrunk": "1d3f5b7a9c0e4f2d8b4a6c8e0f2d4b7d",
    "backup-drill": "7a9c1e3d5f0b4d6f8c2e4a6b8d0f2c7e",
    "backup-beside": "e3a5c7b9d1f04b2e8d6f8a0c2e4b6d7f",
    "binlog-lag": "42296930cecf47b3ad0fb9b0f4a0d732",
    "binlog-gap": "96a974f8886642278f11c485f4f366af",
    "alerts-blind": "96dded3c516d4cd4a222348d9579fd54",
    "delivery": "051bc12f85484bbaa22ed10218544190",
}
