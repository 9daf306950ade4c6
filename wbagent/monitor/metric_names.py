"""Every metric that this agent gives, with the sentence about it that Prometheus and Grafana show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

HELP: Final[Mapping[str, str]] = {
    # The agent itself.
    "wbagent_build_info": "Version of the agent.",
    "wbagent_config_refused": "1 while a newer configuration is refused and the old one is kept.",
    "wbagent_alert_firing": "1 for each alert that fires; held: what keeps it from being told, empty for nothing.",
    "wbagent_alerts_firing": "How many alerts fire and are not held.",
    "wbagent_outbox_messages": "Messages that a destination of [alerts] to has not taken yet.",
    # The server.
    "wbagent_server_up": "1 while the server serves (its unit is active).",
    "wbagent_server_ready": "1 while the server serves and is ready, 0 while it is alive but not ready for long.",
    "wbagent_server_enabled": "1 when the server is started at boot.",
    "wbagent_server_paused": "1 during a pause for maintenance.",
    "wbagent_server_restart_needed": "1 when a restart would apply changed settings.",
    "wbagent_server_start_time_seconds": "Since when the server has served without a break.",
    "wbagent_server_restarts_total": "Restarts as systemd counts them; begins anew after ten healthy minutes.",
    "wbagent_server_last_end_timestamp_seconds": "When the server ended last without being asked to.",
    "wbagent_server_last_end_info": "Why the server ended last without being asked to.",
    "wbagent_server_outage_seconds": "For how long the server has not served by now, 0 while it does.",
    "wbagent_server_last_outage_seconds": "How long the newest outage took that is over.",
    # The database.
    "wbagent_database_up": "1 when MySQL answered the agent's latest question.",
    "wbagent_binlog_lag_seconds": "For how long the database's work has not been stored, 0 when all of it is.",
    "wbagent_binlog_last_event_timestamp_seconds": "When the newest stored transaction was committed.",
    "wbagent_binlog_gap": "1 when transactions can never be stored any more and no backup covers that yet.",
    # Backups.
    "wbagent_backup_running": "1 while a backup is being made.",
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
    # What is watched.
    "wbagent_cpu_busy_ratio": "Busy share of all processors of this host, 0 to 1.",
    "wbagent_cpu_waiting_ratio": "Share of the time in which something waited for a processor (PSI), 0 to 1.",
    "wbagent_cpu_unit_busy_ratio": "Share of all processors that a unit or slice of [monitor.cpu.units] used, 0 to 1.",
    "wbagent_memory_available_bytes": "Memory that programs can get without swapping.",
    "wbagent_memory_waiting_ratio": "Share of the time in which everything waited for memory (PSI), 0 to 1.",
    "wbagent_oom_kills_total": "Processes that the kernel killed for want of memory since boot.",
    "wbagent_disk_size_bytes": "Size of a file system that the product writes to.",
    "wbagent_disk_free_bytes": "What others than root can still write to it.",
    "wbagent_disk_free_inodes": "Its free inodes, where it has a fixed number of them.",
    "wbagent_clock_synchronized": "1 when the clock is synchronised.",
    "wbagent_units_failed": "Failed sockets, deliveries and alerts of the product.",
    "wbagent_mysql_connections": "Connections to MySQL in use.",
    "wbagent_mysql_connections_limit": "MySQL's max_connections.",
    "wbagent_mysql_oldest_transaction_seconds": "Age of the oldest transaction, dumps aside.",
    "wbagent_mysql_history_length": "Old row versions that purge has not removed yet.",
    "wbagent_mysql_deadlocks_total": "Deadlocks since MySQL was started.",
    "wbagent_mysql_fsync_seconds": "Mean time of an fsync of redo log and binary log since the look before.",
    "wbagent_replication_lag_seconds": "Age of the oldest work that the replica of [standby] lacks.",
    "wbagent_outside_ready": "1 when /ready at the address in [server] host was answered well.",
    "wbagent_outside_seconds": "How long that answer took.",
    "wbagent_certificate_expiry_timestamp_seconds": "When the certificate of that address expires.",
    "wbagent_store_up": "1 when an object store answered the agent's requests well.",
    "wbagent_store_seconds": "How long those requests took together.",
}
