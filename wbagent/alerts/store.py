"""The alerts about object stores: the server's bucket, and the destination of backups."""

from __future__ import annotations

import secrets
import socket
from typing import Final

from wbagent.alerts.condition import Condition
from wbagent.alerts.network import NETWORK
from wbagent.alerts.watch import Seen
from wbagent.alerts.words import say
from wbagent.bucket.signing import host_of
from wbagent.config import Settings
from wbagent.config.dsn import S3URL
from wbagent.moment import Moment
from wbagent.monitor.reach import Reach
from wbagent.monitor.rules import Severity
from wbagent.monitor.sample import Sample
from wbagent.monitor.store_probe import Asked, StoreProbe
from wbagent.quantities import format_duration

STORE: Final = "store"
SLOW: Final = "store-slow"
FILES: Final = f"{STORE}:files"
BACKUPS: Final = f"{STORE}:backups"
_SLOW_FOR_S: Final = 600.0
_UNREACHED: Final = frozenset({"unresolved", "unreachable"})


class StoreWatch:
    """Every store that has keys in its connection string; those of an instance's role only boto3 would find."""

    kinds = frozenset({STORE, SLOW})

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._probe = StoreProbe()
        # Where these keys may not remove what they write, one object is left and no more.
        self._only_read: set[str] = set()

    def every(self, settings: Settings) -> float | None:
        """As [monitor.store] says, where there is a store."""
        return settings.monitor.store.every if settings.monitor.store.enabled and stores(settings) else None

    def look(self, settings: Settings, now: Moment) -> Seen:
        """Ask each of them."""
        conditions: tuple[Condition, ...] = ()
        samples: tuple[Sample, ...] = ()
        for name, url in stores(settings).items():
            asked = self._ask(settings, name, url, now)
            self._reach.note(host_of(url)[0], asked.reached, now)
            conditions += of_store(settings, name, url, asked)
            labels = (("store", name),)
            samples += (Sample("wbagent_store_up", float(asked.trouble is None), labels),)
            samples += (Sample("wbagent_store_seconds", asked.seconds, labels),)
        return Seen(conditions, samples)

    def _ask(self, settings: Settings, name: str, url: S3URL, now: Moment) -> Asked:
        limits = settings.monitor.store
        writes = name == "files" and limits.write and url.address not in self._only_read
        # Below a name of the product's own; the host's name and a number keep two agents apart.
        key = "/".join(part for part in (url.prefix, ".wbagent", socket.gethostname(), secrets.token_hex(4)) if part)
        ask = self._probe.write if writes else self._probe.read
        asked = ask(url, key, limits.timeout, now.wall)
        if asked.left:
            self._only_read.add(url.address)
        return asked


def stores(settings: Settings) -> dict[str, S3URL]:
    """What can be asked: "files", the server's bucket, and "backups", where they go."""
    server, backup = settings.server, settings.backup
    wanted = {"files": server.bucket if server else None}
    wanted["backups"] = backup.destination if backup.enabled and settings.database_url() else None
    return {name: url for name, url in wanted.items() if isinstance(url, S3URL) and url.access_key}


def of_store(settings: Settings, name: str, url: S3URL, asked: Asked) -> tuple[Condition, ...]:
    """What one look at one store says."""
    language, limits = settings.alerts.language, settings.monitor.store
    trouble = asked.trouble.value if asked.trouble else ""
    key = "[server] bucket" if name == "files" else "[backup] destination"
    facts = {
        "which": say(language, f"{STORE}.{name}"),
        "harm": say(language, f"{STORE}.harm_{name}"),
        "address": url.address,
        "endpoint": url.endpoint_url or f"https://{host_of(url)[0]}",
        "key": key,
        "said": asked.said,
        "seconds": format_duration(asked.seconds),
        "limit": format_duration(limits.slow),
        "window": format_duration(_SLOW_FOR_S),
    }
    told = {
        "trouble": say(language, f"{STORE}.{trouble}") if trouble else "",
        "mend": say(language, f"{STORE}.mend_{trouble}", facts) if trouble else "",
    }
    return (
        Condition(
            STORE,
            float(bool(trouble)),
            about=name,
            severity=Severity.CRITICAL if name == "files" else Severity.WARNING,
            for_seconds=limits.for_minutes * 60,
            every=limits.every,
            because_of=(NETWORK,) if trouble in _UNREACHED else (),
            facts=facts | told,
        ),
        Condition(
            SLOW,
            # A store that fails is told as that, however long it takes over it.
            0.0 if trouble else asked.seconds,
            limits.slow,
            measured_in="seconds",
            about=name,
            for_seconds=_SLOW_FOR_S,
            resolve_for=_SLOW_FOR_S,
            every=limits.every,
            because_of=(NETWORK, f"{STORE}:{name}"),
            facts=facts,
        ),
    )
