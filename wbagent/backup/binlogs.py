"""What wbagent-binlog.service does: ships binary logs, with the newest backup as the place to roll forward from."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Final

from wbagent.backup import catalog
from wbagent.backup.manifest import Manifest
from wbagent.backup.proof import Proof, read_proof
from wbagent.binlog.gtid import GtidSet
from wbagent.binlog.lag import FACT, Report
from wbagent.binlog.service import Hooks, Newest, Service
from wbagent.bucket.open import open_store
from wbagent.bucket.store import Store
from wbagent.config import Settings
from wbagent.config import embedded as own
from wbagent.errors import BusError, ConfigError, StateError
from wbagent.state import State
from wbagent.systemd import journal
from wbagent.systemd.bus import Bus
from wbagent.systemd.unit_names import BACKUP_UNIT

_SPOOL: Final = "binlog"
# The state file reaches the disk with each note: not every round needs that.
_NOTE_EVERY_S: Final = 15.0


def run_shipping(settings: Settings, state: State, directory: Path) -> None:
    """Ship until SIGTERM; `directory` is the state directory. Raises ConfigError when there is nothing to do here."""
    service = open_service(settings, state, directory, _start_backup)

    def stop(_number: int, _frame: FrameType | None) -> None:
        service.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    service.run()


def open_service(settings: Settings, state: State, directory: Path, start_backup: Callable[[], bool]) -> Service:
    """The service of this host, not running yet; raises ConfigError, BucketError, StateError."""
    url = settings.database_url()
    if url is None or not settings.backup.binlog.enabled:
        raise ConfigError(
            "there are no binary logs to store: neither [server] mysql nor [database] url is set"
            if url is None
            else "binary logs are not stored on this host ([backup.binlog] enabled = false)",
            hint="set it in /etc/wbagent.toml, then: systemctl reload wbagent",
        )
    if url == own.MYSQL:
        raise ConfigError(
            "the binary logs of the embedded MySQL cannot be stored: its account may not read them",
            hint="wbagent server externalize moves it to a server of your own; or set [backup.binlog] enabled = false",
        )
    store = open_store(settings.backup, directory, impatient=True)
    hooks = Hooks(lambda: newest_backup(store, settings.backup.owner), start_backup, _Notes(state))
    return Service(settings.backup, url, store, directory / _SPOOL, hooks, last_report(state))


def newest_backup(store: Store, owner: str) -> Newest:
    """The newest backup's position; raises BucketError."""
    newest = catalog.newest_backup(store, owner)
    if newest is None:
        return Newest(exists=False, position=None, exact=None)
    proof = read_proof(store, newest)
    # A roll-forward that begins with a backup that does not restore leads nowhere.
    exact = None if proof and not proof.ok else exact_position(newest, proof)
    return Newest(exists=True, position=position_of(newest), exact=exact, begun_at=newest.started_at.timestamp())


def position_of(manifest: Manifest) -> GtidSet | None:
    """The transactions that a backup holds, or None where that was not noted.

    An empty set is that of a server without GTIDs: what it wrote before it had them would be missing without a word.
    """
    position = manifest.position
    return GtidSet.parse(position.gtid_set) if position and position.gtid_set else None


def exact_position(manifest: Manifest, proof: Proof | None) -> GtidSet | None:
    """The transactions that a restore of the backup gives, no more and no less.

    A clone holds more than was noted before it was made: what exactly, its drill has seen.
    """
    if manifest.position is None or manifest.position.exact:
        return position_of(manifest)
    return GtidSet.parse(proof.gtid_executed) if proof and proof.ok and proof.gtid_executed else None


def last_report(state: State) -> Report | None:
    """What the unit noted last; raises StateError."""
    fact = state.get(FACT)
    try:
        return Report.from_json(fact.value) if fact else None
    except (TypeError, AttributeError):
        return None


def _start_backup() -> bool:
    try:
        with Bus() as bus:
            bus.start(BACKUP_UNIT)
    except BusError as error:
        journal.send(f"no backup could be started: {error.message}", level="warning")
        return False
    return True


class _Notes:
    """Puts a report into the state file when it says something new, or now and then."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._said: tuple[object, ...] = ()
        self._next = 0.0

    def __call__(self, report: Report) -> None:
        said = (report.problem, report.behind, report.gap_at, report.covered, report.backup, report.asked_at,
                report.silent)  # fmt: skip
        if said == self._said and time.monotonic() < self._next:
            return
        self._said, self._next = said, time.monotonic() + _NOTE_EVERY_S
        try:
            self._state.put(FACT, report.to_json(), report.noted_at)
        except StateError as error:
            journal.send(f"the state of the binary logs cannot be noted: {error.message}", level="warning")
