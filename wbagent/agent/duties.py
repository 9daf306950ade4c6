"""What the agent does when its loop says so: look at units and the database, start the backup, raise alerts."""

from __future__ import annotations

import time
import traceback
from datetime import datetime
from typing import Any, Final

import structlog

from wbagent import __version__, events
from wbagent.agent import overview
from wbagent.agent.aside import aside
from wbagent.agent.back_off import HEALTHY_S, back_off_forgets
from wbagent.agent.binlogs import binlog_verb
from wbagent.agent.configured import configured
from wbagent.agent.prometheus import Prometheus
from wbagent.agent.schedule import backup_due, last_occurrence, last_try
from wbagent.agent.story import story
from wbagent.agent.telling import Teller
from wbagent.agent.units import Units
from wbagent.alerts import past_outbox
from wbagent.alerts.destination import configured as destinations
from wbagent.alerts.outside import Serving
from wbagent.alerts.ping import Ping, ping
from wbagent.alerts.states import firing_titles, silenced_titles
from wbagent.alerts.watch import Seen, Watch, unlooked
from wbagent.config import Settings
from wbagent.config.dsn import MysqlURL
from wbagent.database.connection import session
from wbagent.database.local import is_local
from wbagent.errors import DatabaseError, StateError, foreseen
from wbagent.moment import Moment
from wbagent.monitor import samples
from wbagent.monitor.reach import Reach
from wbagent.monitor.samples import Collector
from wbagent.server.diff import wanted_digests
from wbagent.server.digest_key import digest_key
from wbagent.state import State
from wbagent.systemd.bus import Bus
from wbagent.systemd.unit_names import BACKUP_UNIT, BINLOG_UNIT, DELIVER_UNIT, SERVER_UNIT, UPGRADE_UNIT
from wbagent.upgrade import account

# A start so long after its time was not on time: the agent or the host was down then.
_LATE_S: Final = 120.0

# A backup by hand is as good as one by the clock.
_TRIES: Final = (overview.ATTEMPT_FACT, overview.BACKUP_FACT, overview.BACKUP_FAILURE_FACT)


log = structlog.get_logger()


class Duties:
    """The agent's work on one host. `settings` may be replaced at any time between two calls."""

    def __init__(self, settings: Settings, state: State) -> None:
        self.settings = settings
        self._state = state
        self.teller = Teller(state)
        self._samples = Collector()
        self.prometheus = Prometheus(settings, state, self.teller.complain)
        self._seen: overview.Overview | None = None
        self._database_ok = True
        self._restart_needed = False
        self._ping_problem = ""
        self._blind_pinged = False
        # What the unit's configuration was when this agent last looked.
        self._binlogs_of: tuple[object, ...] | None = None
        self._jobs: tuple[str, ...] = ()
        self.reach = Reach()
        self._looking: set[Watch] = set()
        self._serving = Serving.NOT_NOW

    def serving(self) -> Serving:
        """Whether this host's server is to answer; asked by other threads."""
        return self._serving

    def story(self, now: float) -> str:
        """The line of `systemctl status`."""
        if self._seen is None:
            return "systemd cannot be reached over D-Bus; nothing can be started or seen until it is back"
        return story(self._seen, configured(self.settings), now)

    def look_at_units(self, units: Units | None, now: float) -> None:
        """See every unit, tell of restarts, deliver what waits. Raises BusError, AccessError, StateError."""
        if units is None:
            self._seen = self.prometheus.seen = None
            self._serving = Serving.NOT_NOW
            return
        bus = units.bus
        alerts = self.teller.alerts()
        self._seen = self.prometheus.seen = overview.gather(
            units,
            self._state,
            firing_titles(alerts),
            silenced=silenced_titles(alerts),
            blind=self.teller.blindness.why,
        )
        server = self._seen.server
        if server is not None and back_off_forgets(server, now):
            bus.reset_failed(SERVER_UNIT)
            log.info(f"the server was healthy for {HEALTHY_S / 60:g} minutes; its back-off starts anew")
        self._tell_restart_needed(self._seen.restart_needed)
        self._keep_binlogs(bus, self._seen, now)
        jobs = tuple(unit.active if unit else "" for unit in (self._seen.backup, self._seen.drill))
        if jobs != self._jobs:
            # A backup or drill has ended just now, or begun: what it left is told at once.
            self.look_at_backups()
            self.prometheus.write()
        self._jobs = jobs
        paused = self.teller.tell_pause()
        if server is not None:
            held = paused or _replaces_server(units)
            self.teller.judge_server(self.settings, server.active, held=held)
            self._serving = _serving(server.active, held=held)
        # A start of a unit that is starting changes nothing, and what came after its look would wait: ask again then.
        delivering = units.properties(DELIVER_UNIT).get("ActiveState") == "activating"
        if not delivering and self.teller.delivery_due(self.settings, now):
            bus.start(DELIVER_UNIT)

    def _tell_restart_needed(self, needed: bool) -> None:
        if needed and not self._restart_needed:
            log.warning(
                "the server still runs with its old settings; `wbagent server diff` shows what"
                " `systemctl restart wandb-local` would change",
                message_id=events.RESTART_NEEDED,
            )
        self._restart_needed = needed

    def _keep_binlogs(self, bus: Bus, seen: overview.Overview, now: float) -> None:
        wanted = configured(self.settings)["binlog"]
        part = (self.settings.backup, self.settings.database_url())
        changed = (self._binlogs_of is not None and part != self._binlogs_of) or _outdated(seen)
        self._binlogs_of = part
        if seen.binlog is not None:
            verb = binlog_verb(seen.binlog, wanted=wanted, changed=changed)
            if verb is not None:
                log.info(f"{BINLOG_UNIT}: {verb}")
                bus.job(verb, BINLOG_UNIT)
        self.teller.judge_binlogs(self.settings, seen.binlogs if wanted else None, now)

    def back_up_when_due(self, units: Units, now: datetime) -> None:
        """Start the daily backup if its time has come and it was not tried since. Raises BusError."""
        waiting = self._state.get(overview.NOT_YET_FACT)
        tries = (fact.at for name in _TRIES if (fact := self._state.get(name)))
        tried = last_try(tries, waiting.at if waiting else 0.0)
        last = datetime.fromtimestamp(tried, now.tzinfo) if tried else None
        if not backup_due(self.settings.backup.at, last, now):
            log.debug("the daily backup is not due")
            return
        if _replaces_server(units):
            # Not an attempt: it stays due, and the next look after the upgrade starts it.
            log.info("the daily backup waits until the upgrade of the server is over")
            return
        # Noted before it is started: a start that fails is an alert of that unit, not a reason to start it every round.
        self._state.put(overview.ATTEMPT_FACT, {"by": "schedule"}, now.timestamp())
        units.bus.start(BACKUP_UNIT)
        due = last_occurrence(self.settings.backup.at, now)
        if last is not None and (now - due).total_seconds() > _LATE_S:
            missed = f"the backup of {due:%Y-%m-%d %H:%M} was missed and is made now"
            log.warning(missed, message_id=events.BACKUP_MISSED, due=f"{due:%Y-%m-%dT%H:%M:%S%z}")
        else:
            log.info("the daily backup is started", message_id=events.BACKUP_STARTED)

    async def look_at_database(self) -> None:
        """Ask MySQL for its version, aside since PyMySQL blocks, note the answer and tell of it."""
        url = self.settings.database_url()
        if url is None:
            self.teller.judge_database(self.settings, "", "", "")
            return
        failure: DatabaseError | None = None
        try:
            version, elsewhere = await aside(_version, url)
        except DatabaseError as error:
            failure = error
            found: dict[str, Any] = {"ok": False, "text": f"AWAY: {error.message}", "address": url.address}
        else:
            text = f"MySQL {version} answers at {url.address}"
            found = {"ok": True, "text": text, "address": url.address, "elsewhere": elsewhere}
        self.reach.note(url.host, failure is None or failure.reached, Moment.now())
        reason, hint = (failure.message, failure.hint) if failure else ("", "")
        self.teller.judge_database(self.settings, url.address, reason, hint or "")
        back = bool(found["ok"])
        if back is not self._database_ok:
            tell = log.info if back else log.warning
            message_id = events.DATABASE_BACK if back else events.DATABASE_AWAY
            tell(found["text"], message_id=message_id, address=url.address, reason=reason or None)
        self._database_ok = back
        # Last: the journal hears of it also where nothing can be stored.
        self._state.put(overview.DATABASE_FACT, found, time.time())

    async def watch(self, watch: Watch) -> bool:
        """One look at an area, aside since it may block; where it is not wanted, what still fires is over.

        Whether there is something to tell. A look that lasts while the configuration is read again is the only one
        until it has ended; what it found of an area that was switched off meanwhile is no news.
        """
        settings, seen, why = self.settings, Seen(), ""
        every = watch.every(settings)
        if every is not None:
            if watch in self._looking:
                return False
            self._looking.add(watch)
            try:
                seen = await aside(watch.look, settings, Moment.now())
            except Exception as error:  # whatever it is, people hear that nobody looks there
                seen, why = Seen(of=()), self._unforeseen(watch, error)
            finally:
                self._looking.discard(watch)
            if watch.every(self.settings) is None:
                return False
        self._samples.take(seen.samples, time.time())
        self.prometheus.take(watch, seen.samples)
        found = (*seen.conditions, unlooked(watch.kinds, every or 0.0, why))
        return self.teller.judge(settings, watch.kinds if seen.of is None else seen.of, found)

    def _unforeseen(self, watch: Watch, error: Exception) -> str:
        place = traceback.extract_tb(error.__traceback__)[-1]
        told = foreseen(error, StateError)
        what = f"{told.message} ({place.filename}:{place.lineno})"
        self.teller.complain(StateError(what, hint=told.hint), f"nobody looks at {', '.join(sorted(watch.kinds))}")
        return what

    async def look_at_blindness(self) -> bool:
        """Tell, past the outbox, that alerts cannot be kept; whether there is something to show or to deliver."""
        blindness, was = self.teller.blindness, self.teller.blindness.why
        message = blindness.look(self.settings, Moment.now())
        if message is not None:
            taken = await aside(past_outbox.send, message, destinations(self.settings.alerts))
            blindness.sent(Moment.now(), taken=taken)
        return bool(was) is not bool(blindness.why)

    def complain(self, error: StateError) -> None:
        """Something that was to be kept was not."""
        self.teller.complain(error, "state cannot be kept")
        self.teller.blindness.suspect(error)

    async def ping(self) -> None:
        """Tell the service elsewhere that this agent is alive, or once that it can tell nobody of anything."""
        url, blind = self.settings.alerts.ping_agent, self.teller.blindness.why
        if url is None or (blind and self._blind_pinged):
            return
        problem = await aside(ping, url, Ping.FAIL if blind else Ping.SUCCESS, blind)
        self._blind_pinged = bool(blind) and not problem
        if problem and not self._ping_problem:
            log.warning(f"the ping of the agent was not taken: {problem}; it is sent again and again")
        self._ping_problem = problem

    def store_samples(self) -> None:
        """Once a minute. Raises StateError."""
        self._samples.store(self._state.path.with_name(samples.FILE), Moment.now())

    def look_at_backups(self) -> None:
        """Whether the newest backup is fresh, good and where it should be."""
        self.teller.judge_backups(self.settings)

    async def offer_metrics(self) -> None:
        """Listen for Prometheus where that is wanted, and replace its file where one is."""
        self.prometheus.settings = self.settings
        await self.prometheus.offer()

    def note_configuration(self, refused: str, now: float) -> None:
        """What this host is set up for, and why a newer file was refused, for `wbagent status`."""
        self.teller.judge_destinations(self.settings)
        self._state.put(overview.CONFIG_FACT, {**configured(self.settings), "refused": refused}, now)
        server = self.settings.server
        self._state.put(overview.WANTED_FACT, wanted_digests(server, digest_key()) if server else {}, now)


def _outdated(seen: overview.Overview) -> bool:
    """Whether the unit that stores binary logs runs what was installed before an upgrade of the package."""
    report, unit = seen.binlogs, seen.binlog
    return bool(report and unit and report.noted_at > unit.since and report.version != __version__)


def _replaces_server(units: overview.Source) -> bool:
    """Whether an upgrade is replacing the server now: it tells of itself, and no backup may begin. Raises BusError."""
    upgrade = account.current()
    if upgrade is None or not upgrade.replacing:
        return False
    # One that was interrupted holds nothing.
    return bool(units.properties(UPGRADE_UNIT)["ActiveState"] == "activating")


def _serving(active: str, *, held: bool) -> Serving:
    """What the unit's ActiveState means for who asks the server; `held`: it is paused, or being replaced."""
    if held:
        return Serving.NOT_NOW
    return {"active": Serving.YES, "inactive": Serving.STOPPED}.get(active, Serving.NOT_NOW)


def _version(url: MysqlURL) -> tuple[str, bool]:
    """What MySQL says that it is, and whether it is on another host."""
    with session(url, read_timeout=10.0) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT VERSION()")
        row = cursor.fetchone()
    if not row:
        raise DatabaseError(f"{url.address} gave no version", hint="is this a MySQL server?")
    return str(row[0]), not is_local(url)
