"""What Prometheus gets of this host: gathered when it asks, and written to a file every few seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from wbagent.agent.configured import configured
from wbagent.agent.exporter import Exporter
from wbagent.agent.metrics import alert_samples, host_samples
from wbagent.agent.overview import Overview
from wbagent.alerts import outbox, states
from wbagent.alerts.destination import configured as destinations
from wbagent.alerts.watch import Watch
from wbagent.config import Settings
from wbagent.errors import StateError
from wbagent.moment import Moment
from wbagent.monitor import freshness, textfile
from wbagent.monitor.backup_facts import BackupFacts
from wbagent.monitor.backup_samples import backup_samples
from wbagent.monitor.exposition import Families, encode, of_this_process
from wbagent.monitor.sample import Sample
from wbagent.state import State


class Prometheus:
    """`seen` is what the agent saw last of the units, None while systemd cannot be reached."""

    def __init__(self, settings: Settings, state: State, complain: Callable[[StateError, str], None]) -> None:
        self.settings = settings
        self.seen: Overview | None = None
        self._state = state
        self._complain = complain
        # What each watch saw last: a disk that is gone is in no metric any more.
        self._newest: dict[Watch, tuple[Sample, ...]] = {}
        self._exporter = Exporter(self.page)

    def take(self, watch: Watch, samples: tuple[Sample, ...]) -> None:
        """Everything that one look found."""
        self._newest[watch] = samples

    async def offer(self) -> None:
        """Listen where that is wanted, and replace the file where one is; what fails is told and tried again."""
        try:
            await self._exporter.listen(self.settings.metrics.listen)
        except StateError as error:
            self._complain(error, "metrics are missing")
        self.write()

    def write(self) -> None:
        """Replace the file where one is wanted."""
        path = self.settings.metrics.textfile
        try:
            if path:
                textfile.write(Path(path), self._samples())
        except StateError as error:
            self._complain(error, "metrics are missing")

    def page(self, accept: str) -> tuple[bytes, str]:
        """Everything in the format that the Accept header prefers, and its content type. Raises StateError."""
        return encode(Families(self._samples(), of_this_process), accept)

    def _samples(self) -> Iterator[Sample]:
        now, wanted = Moment.now(), configured(self.settings)
        # What waits for a destination that is no more, nobody misses.
        named = {destination.id for destination in destinations(self.settings.alerts)}
        waiting = sum(row.destination in named for row in outbox.waiting(self._state))
        yield from alert_samples(states.stored(self._state), waiting, blind=bool(self.seen and self.seen.blind))
        yield from host_samples(self.seen, wanted, now.wall)
        if wanted["backup"]:
            watch = self._state.get(freshness.WATCH_FACT)
            old = freshness.age(freshness.Watch.from_json(watch.value), now) if watch else None
            yield from backup_samples(BackupFacts.read(self._state), old, self.settings.backup.fresh_within)
        for samples in self._newest.values():
            yield from samples
