"""The agent's one asyncio loop: rounds, the scheduler, the bus, signals, and the watchdog that rounds feed."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

import structlog
from apscheduler.events import EVENT_JOB_MAX_INSTANCES, JobSubmissionEvent
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from wbagent import events
from wbagent.agent.duties import Duties
from wbagent.agent.units import Units
from wbagent.agent.watches import watches
from wbagent.alerts import blind
from wbagent.alerts.watch import Watch
from wbagent.config import load
from wbagent.errors import BusError, ConfigError, StateError, WbagentError, foreseen
from wbagent.quantities import format_duration
from wbagent.state import State
from wbagent.systemd.bus import Bus
from wbagent.systemd.notify import notify, reloading, watchdog_interval
from wbagent.systemd.unit_names import BACKUP_UNIT, BINLOG_UNIT, DELIVER_UNIT, DRILL_UNIT, SERVER_UNIT, UPGRADE_UNIT

WATCHED: Final = (
    SERVER_UNIT,
    BACKUP_UNIT,
    BINLOG_UNIT,
    DRILL_UNIT,
    DELIVER_UNIT,
    UPGRADE_UNIT,
)
# A restart of the server is a handful of changes within half a second: one look afterwards sees as much as five during
# it, and takes no processor from the start that users wait for.
_SETTLE_S: Final = 0.5
# Between two rounds when no watchdog asks for shorter ones (seconds). The times of the jobs are multiples of it, and
# rounds keep to multiples of it too: what is due together is done in one waking.
ROUND_S: Final = 10.0
# What a backup leaves is looked at when it ends: this is for its age, which counts in hours.
BACKUPS_S: Final = 30
METRICS_S: Final = 20
SAMPLES_S: Final = 60
# A time service slews a clock by less than that from one round to the next; what it sets back further is a step.
_SET_BACK_S: Final = 2.0
# A missed backup is looked for this often: also after the machine slept or the clock was set.
_CATCH_UP_S: Final = 600


log = structlog.get_logger()


class Agent:
    """Runs until SIGTERM. What it does lies in Duties; here is only when."""

    def __init__(self, path: Path, state: State) -> None:
        self._path = path
        self._state = state
        self._settings = load(path).settings
        self._units: Units | None = None
        self._stop = asyncio.Event()
        self._wake = asyncio.Event()
        self._refused = ""
        self._duties = Duties(self._settings, state)
        self._watches = watches(self._duties.reach, self._duties.serving)
        self._scheduler = scheduler()
        self._begun = time.monotonic()
        self._clock = _wall_ahead()

    async def run(self) -> None:
        """Say READY after the first round, then go round until asked to stop."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop.set)
        loop.add_signal_handler(signal.SIGINT, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        self._duties.teller.begin()
        self._schedule()
        self._scheduler.start()
        self._round()
        notify("READY=1")
        log.info("the agent is up", message_id=events.CONFIG_LOADED, config=str(self._path))
        while not self._stop.is_set():
            # The watchdog is fed here, after a round that went through, and nowhere else.
            self._follow_clock()
            self._round()
            notify("WATCHDOG=1")
            await self._rest(min(watchdog_interval() or ROUND_S, ROUND_S))
        notify("STOPPING=1", "STATUS=stopping; the server and a running backup go on")
        self._scheduler.shutdown(wait=False)

    async def _rest(self, seconds: float) -> None:
        """Until the next multiple of `seconds` since the start, a watched unit changed, or a stop was asked for."""
        seconds -= (time.monotonic() - self._begun) % seconds
        waits = [asyncio.create_task(self._wake.wait()), asyncio.create_task(self._stop.wait())]
        done, pending = await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if done and not self._stop.is_set():
            await asyncio.wait(waits[1:], timeout=_SETTLE_S)
        for task in pending:
            task.cancel()
        # Not before: what changed while a round looked at it is looked at again.
        self._wake.clear()

    def _round(self) -> None:
        self._connect()
        with self._tolerated():
            self._duties.look_at_units(self._units, time.time())
            if self._units is not None:
                # Replies were awaited in there: signals that came in between lie in the bus's own queue.
                self._units.bus.process()
        refused = f"NEW CONFIGURATION REFUSED ({self._refused}) | " if self._refused else ""
        notify(f"STATUS={refused}{self._duties.story(time.time())}")

    @contextmanager
    def _tolerated(self) -> Iterator[None]:
        """What ends a piece of work and never the agent: a bus that is away, a full disk. It is tried again."""
        try:
            yield
        except BusError as error:
            self._disconnect(error)
        except StateError as error:
            self._duties.complain(error)
        except WbagentError as error:
            log.warning(error.message, message_id=error.message_id, hint=error.hint)
        except asyncio.CancelledError:
            # What was under way when the agent was asked to stop; APScheduler would write a traceback.
            if not self._stop.is_set():
                raise

    def _follow_clock(self) -> None:
        """Jobs have their times by the clock on the wall: set back by hours, it would keep all of them for as long."""
        before, self._clock = self._clock, _wall_ahead()
        if self._clock < before - _SET_BACK_S:
            log.info(f"the clock was set back by {format_duration(before - self._clock)}: everything is looked at now")
            self._schedule()

    def _connect(self) -> None:
        if self._units is not None:
            return
        with self._tolerated():
            # Within the bus's own processing no further call may be made: the next round looks at what has changed.
            self._units = Units(Bus(), WATCHED, self._wake.set)
            asyncio.get_running_loop().add_reader(self._units.bus.fileno(), self._readable)

    def _disconnect(self, error: BusError) -> None:
        log.warning(error.message, message_id=error.message_id, hint=error.hint)
        if self._units is not None:
            asyncio.get_running_loop().remove_reader(self._units.bus.fileno())
            self._units.bus.close()
            self._units = None

    def _readable(self) -> None:
        with self._tolerated():
            if self._units is not None:
                self._units.bus.process()

    def _schedule(self) -> None:
        """(Re)make the jobs, and note what this host is set up for.

        They are coalesced: a long sleep of the machine leads to one run and no burst.
        """
        with self._tolerated():
            self._duties.note_configuration(self._refused, time.time())
        self._scheduler.remove_all_jobs()
        defaults = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        backup = self._settings.backup
        if backup.enabled and self._settings.database_url() is not None:
            hour, minute = backup.at.split(":")
            self._scheduler.add_job(self._back_up, CronTrigger(hour=hour, minute=minute), **defaults)
            catch_up = IntervalTrigger(seconds=_CATCH_UP_S)
            first = datetime.fromtimestamp(time.time() + backup.catch_up_after).astimezone()
            self._scheduler.add_job(self._back_up, catch_up, next_run_time=first, **defaults)
        # Also where there is no database and no backup is wanted: what still fires is over then.
        soon = datetime.now().astimezone()
        every = IntervalTrigger(seconds=self._settings.monitor.database.every)
        self._scheduler.add_job(self._look_at_database, every, next_run_time=soon, **defaults)
        self._scheduler.add_job(
            self._look_at_backups, IntervalTrigger(seconds=BACKUPS_S), next_run_time=soon, **defaults
        )
        self._scheduler.add_job(self._offer_metrics, IntervalTrigger(seconds=METRICS_S), next_run_time=soon, **defaults)
        self._scheduler.add_job(self._store_samples, IntervalTrigger(seconds=SAMPLES_S), **defaults)
        self._scheduler.add_job(self._look_at_blindness, IntervalTrigger(seconds=blind.EVERY_S), **defaults)
        if self._settings.alerts.ping_agent is not None:
            pings = IntervalTrigger(seconds=self._settings.alerts.ping_every)
            self._scheduler.add_job(self._ping, pings, next_run_time=soon, **defaults)
        for watch in self._watches:
            # One that is not wanted has one look, too: what still fires of it is over.
            wanted = watch.every(self._settings)
            trigger = IntervalTrigger(seconds=wanted) if wanted else DateTrigger(soon)
            self._scheduler.add_job(self._watch, trigger, [watch], next_run_time=soon, **defaults)

    async def _back_up(self) -> None:
        with self._tolerated():
            if self._units is not None:
                self._duties.back_up_when_due(self._units, datetime.now().astimezone())

    async def _look_at_database(self) -> None:
        with self._tolerated():
            await self._duties.look_at_database()

    async def _look_at_backups(self) -> None:
        self._duties.look_at_backups()

    async def _offer_metrics(self) -> None:
        with self._tolerated():
            await self._duties.offer_metrics()

    async def _store_samples(self) -> None:
        with self._tolerated():
            self._duties.store_samples()

    async def _look_at_blindness(self) -> None:
        with self._tolerated():
            if await self._duties.look_at_blindness():
                self._wake.set()

    async def _ping(self) -> None:
        # From the loop that does the rounds: one that hangs sends none.
        with self._tolerated():
            await self._duties.ping()

    async def _watch(self, watch: Watch) -> None:
        with self._tolerated():
            if await self._duties.watch(watch):
                # What begins or ends with this look is told now, not after the rest. Else a look costs no round.
                self._wake.set()

    def _reload(self) -> None:
        """Take the new file, or keep the old one and say why (SIGHUP of Type=notify-reload)."""
        reloading()
        try:
            self._settings = load(self._path).settings
        except Exception as raised:
            # A file that may not be read is refused like one that is wrong. systemd waits for READY in every case.
            error = foreseen(raised, ConfigError)
            problems = (isinstance(error, ConfigError) and error.problems) or (error.message,)
            self._refused = problems[0]
            for problem in problems:
                log.warning(f"the old configuration is kept: {problem}", message_id=events.CONFIG_INVALID)
            with self._tolerated():
                self._duties.note_configuration(self._refused, time.time())
        else:
            self._refused = ""
            self._duties.settings = self._settings
            self._schedule()
            log.info("the configuration was read again", message_id=events.CONFIG_LOADED)
        self._round()
        notify("READY=1")


def _wall_ahead() -> float:
    """Seconds by which the wall clock is ahead of one that nobody sets; a suspended machine's grow, and never fall."""
    return time.time() - time.monotonic()


def scheduler() -> AsyncIOScheduler:
    """One that does not warn, in words of its own, of each look that still lasts when the next one is due.

    What hangs is an alert by itself.
    """
    logging.getLogger("apscheduler.scheduler").setLevel(logging.ERROR)
    made = AsyncIOScheduler()
    made.add_listener(_tell_left_out, EVENT_JOB_MAX_INSTANCES)
    return made


def _tell_left_out(_event: JobSubmissionEvent) -> None:
    log.debug("a look lasts longer than the time between two: the next one is left out")
