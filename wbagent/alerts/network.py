"""The alert about this host's network: where nothing answers, that is told, and not each thing that is missed."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Final

from wbagent.alerts.condition import Condition
from wbagent.alerts.watch import Seen
from wbagent.bucket.signing import endpoint_of, host_of
from wbagent.config import Settings
from wbagent.config.dsn import S3URL
from wbagent.moment import Moment
from wbagent.monitor.reach import Reach, cut_off
from wbagent.monitor.rules import Severity

NETWORK: Final = "network"
_EVERY_S: Final = 10.0
_CONNECT_WITHIN_S: Final = 3.0


class NetworkWatch:
    """Puts together what other looks found. Only after one that failed are further machines asked, by connecting."""

    kinds = frozenset({NETWORK})

    def __init__(self, reach: Reach) -> None:
        self._reach = reach

    def every(self, settings: Settings) -> float | None:
        """Where more than one other machine is looked at."""
        return _EVERY_S if settings.monitor.network.enabled else None

    def look(self, settings: Settings, now: Moment) -> Seen:
        """Mostly a look at what is known already."""
        found = self._reach.found(now)
        if any(not each.reached for each in found.values()):
            connects: dict[str, bool] = {}
            for url in _stores(settings):
                # Several buckets of one store are one machine.
                store = endpoint_of(url)[0]
                connects[store] = connects.get(store, False) or _connects(*host_of(url))
            for store, answered in connects.items():
                self._reach.note(store, answered, now)
            found = self._reach.found(now)
        condition = Condition(
            NETWORK,
            float(cut_off(found)),
            severity=Severity.CRITICAL,
            for_seconds=settings.monitor.network.for_minutes * 60,
            every=_EVERY_S,
            facts={"hosts": ", ".join(sorted(found))},
        )
        return Seen((condition,))


def _stores(settings: Settings) -> Iterator[S3URL]:
    """What may be connected to without harm: MySQL takes it amiss when nobody logs in, and counts against this host."""
    server = settings.server
    stores = (server.bucket if server else None, settings.backup.destination if settings.backup.enabled else None)
    for store in stores:
        if isinstance(store, S3URL) and settings.monitor.store.enabled:
            yield store


def _connects(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), _CONNECT_WITHIN_S).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return True
