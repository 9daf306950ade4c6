"""The alerts about object stores: the server's bucket, and the destination of backups."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Mapping
from typing import Final

from wbagent.alerts.condition import Condition
from wbagent.alerts.network import NETWORK
from wbagent.alerts.watch import Seen
from wbagent.alerts.words import say
from wbagent.bucket.signing import endpoint_of, host_of
from wbagent.config import Settings
from wbagent.config.dsn import S3URL
from wbagent.moment import Moment
from wbagent.monitor import store_probe
from wbagent.monitor.reach import Reach
from wbagent.monitor.rules import Severity
from wbagent.monitor.sample import Sample
from wbagent.monitor.store_probe import Asked
from wbagent.quantities import format_duration

STORE: Final = "store"
SLOW: Final = "store-slow"
FILES: Final = f"{STORE}:files"
BACKUPS: Final = f"{STORE}:backups"
_SLOW_FOR_S: Final = 600.0
_UNREACHED: Final = frozenset({"unresolved", "unreachable"})
# About the way to the endpoint, whatever bucket is asked for there.
_AT_THE_ENDPOINT: Final = _UNREACHED | {"refused", "tls"}


class StoreWatch:
    """Every store that has keys in its connection string; those of an instance's role only boto3 would find."""

    kinds = frozenset({STORE, SLOW})

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        # Where these keys may not remove what they write, one object is left and no more.
        self._only_read: set[str] = set()

    def every(self, settings: Settings) -> float | None:
        """As [monitor.store] says, where there is a store."""
        return settings.monitor.store.every if settings.monitor.store.enabled and stores(settings) else None

    def look(self, settings: Settings, now: Moment) -> Seen:
        """Ask each of them."""
        samples: tuple[Sample, ...] = ()
        found: dict[str, tuple[S3URL, Asked]] = {}
        for name, url in stores(settings).items():
            asked = self._ask(settings, name, url, now)
            found[name] = url, asked
            labels = (("store", name),)
            samples += (Sample("wbagent_store_up", float(asked.trouble is None), labels),)
            samples += (Sample("wbagent_store_seconds", asked.seconds, labels),)
        for store in {endpoint_of(url)[0] for url, _ in found.values()}:
            answered = any(asked.reached for url, asked in found.values() if endpoint_of(url)[0] == store)
            self._reach.note(store, answered, now)
        return Seen(of_stores(settings, found), samples)

    def _ask(self, settings: Settings, name: str, url: S3URL, now: Moment) -> Asked:
        limits = settings.monitor.store
        writes = name == "files" and limits.write and url.address not in self._only_read
        # Below a name of the product's own; the host's name and a number keep two agents apart.
        key = "/".join(part for part in (url.prefix, ".wbagent", socket.gethostname(), secrets.token_hex(4)) if part)
        ask = store_probe.write if writes else store_probe.read
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


def of_stores(settings: Settings, found: Mapping[str, tuple[S3URL, Asked]]) -> tuple[Condition, ...]:
    """What one look at all of them says: where two are at one endpoint that cannot be reached, that is one trouble."""
    dead = [endpoint_of(url) for url, asked in found.values() if asked.trouble and asked.trouble in _AT_THE_ENDPOINT]
    conditions: tuple[Condition, ...] = ()
    for name, (url, asked) in found.items():
        conditions += of_store(settings, name, url, asked, shared=dead.count(endpoint_of(url)) > 1)
    return conditions


def of_store(settings: Settings, name: str, url: S3URL, asked: Asked, *, shared: bool = False) -> tuple[Condition, ...]:
    """What one look at one store says; `shared`: the other one is at the same endpoint, which is dead."""
    language, limits = settings.alerts.language, settings.monitor.store
    trouble = asked.trouble.value if asked.trouble else ""
    # The server's bucket comes first, so that it is told, for both; the destination of backups follows from it.
    both = shared and name == "files"
    key = "[server] bucket" if name == "files" else "[backup] destination"
    facts = {
        "which": say(language, f"{STORE}.{name}"),
        "harm": "; ".join(say(language, f"{STORE}.harm_{one}") for one in (name, *("backups",) * both)),
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
            because_of=(NETWORK,) * (trouble in _UNREACHED) + (FILES,) * (shared and name == "backups"),
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
