"""Checks of the area "backup": where backups go, how they are made, and what there is of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime

from wbagent.bucket.store import UnansweredError
from wbagent.checks.backup import making, place, planned, stored
from wbagent.checks.check import Check, unconfigured
from wbagent.checks.once import Once
from wbagent.config import Settings
from wbagent.config.dsn import S3URL

_GUIDE = "Backups"


def checks(settings: Settings) -> Sequence[Check]:
    """Those that apply to this configuration."""
    url, backup = settings.database_url(), settings.backup
    if url is None:
        return (
            unconfigured(
                "backup",
                "neither [server] nor [database] is configured on this host, so there is nothing to back up",
                "wbagent init, or [server] or [database] in /etc/wbagent.toml (wbagent.toml(5))",
            ),
        )
    if not backup.enabled:
        return (Check("backups", planned.switched_off, "a database without a backup is lost with its disk", _GUIDE),)
    catalog = Once(lambda: stored.look(settings), "the destination of backups does not answer")
    # The area database looks with the same account, and fails with why it cannot come in.
    database = Once(lambda: making.look_at(url), "the database cannot be looked at", told_by="wbagent check database")
    found = [
        Check("destination", place.destination(settings), "a fire takes what is in one room", _GUIDE),
        Check("reachable", catalog.then(stored.reachable), "a backup that cannot be stored is none", _GUIDE),
    ]
    if isinstance(backup.destination, S3URL):
        keys = catalog.unless(UnansweredError, place.keys(backup))
        found.append(Check("keys", keys, "a thief of this host takes its keys too", time_limit_s=60.0))
    if backup.drill.enabled:
        needed = "a drill restores everything, on this host"
        found.append(Check("room for drills", catalog.then(stored.room), needed))
    return [
        *found,
        Check(
            "newest",
            catalog.then(
                lambda seen: stored.judge_newest(
                    seen.newest, settings, datetime.now(UTC), provable=making.can_drill(backup)
                )
            ),
            "only a backup that was restored once is known to be one",
            _GUIDE,
        ),
        Check("older", catalog.then(lambda seen: stored.judge_older(seen.older)), "mistakes show days later", _GUIDE),
        Check(
            "owner",
            catalog.then(lambda seen: stored.judge_owner(seen.hosts, backup.owner)),
            "retention and restores go by the owner's name",
        ),
        Check("engine", database.then(making.engine(settings, url)), "how long it takes, how exact it is"),
        Check("programs", database.then(making.programs(settings)), "backups and restores call MySQL's own", _GUIDE),
        Check("drill", making.drill(settings), "a backup that was never restored may be none"),
        Check("retention", lambda _: planned.judge_retention(backup.keep_days), "mistakes show days later", _GUIDE),
        Check("schedule", lambda _: planned.judge_schedule(backup), "daily, says W&B's guide", _GUIDE),
        Check("encryption", lambda _: planned.judge_encryption(backup.encrypt_to), "the store's people can read it"),
        Check("binary logs", planned.binary_logs(settings, time.time), "a backup alone loses up to a day of work"),
    ]
