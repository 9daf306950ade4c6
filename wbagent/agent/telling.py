"""Whom the agent tells what: samples and restarts become messages in the outbox, and the outbox gets delivered."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from dataclasses import asdict
from typing import Final

import structlog

from wbagent import events
from wbagent.alerts import (
    backup,
    binlog,
    blind,
    crash_loop,
    database,
    foreign,
    judging,
    outbox,
    server,
    states,
    unreachable,
)
from wbagent.alerts.condition import Condition
from wbagent.alerts.destination import configured
from wbagent.alerts.restarts import tell_restarts
from wbagent.alerts.state_file import tell_damage
from wbagent.alerts.states import StoredAlert
from wbagent.alerts.throttle import Event
from wbagent.binlog.lag import Report
from wbagent.config import Settings
from wbagent.errors import StateError
from wbagent.moment import Moment
from wbagent.quantities import format_duration
from wbagent.server import history, pause
from wbagent.server.history import Reason
from wbagent.state import State

# A deliverer that found nothing to do about the same messages is not started again before this (seconds).
_SAME_AGAIN_S: Final = 60.0
_COMPLAIN_AGAIN_S: Final = 600.0
_NOT_KEPT: Final = "alerts cannot be kept"
_PAUSE_FACT: Final = "server.pause"
# ActiveState of a server between two tries; one that a person stopped is "inactive".
_ON_THE_WAY: Final = frozenset({"activating", "deactivating", "failed"})


log = structlog.get_logger()


class Teller:
    """The agent's side of alerts. A state file that cannot be used is told in the journal and never ends the agent."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.blindness = blind.Blindness(state)
        self._complaints: dict[str, float] = {}
        self._last_due: tuple[tuple[int, int], ...] = ()
        self._last_start = 0.0
        self._held_until = 0.0

    def begin(self) -> None:
        """At the agent's start: give up what another version stored and this one does not understand."""
        try:
            for sentence in foreign.give_up(self._state, Moment.now()):
                log.warning(sentence)
        except StateError as error:
            self.complain(error)

    def alerts(self) -> tuple[StoredAlert, ...]:
        """Every alert that is not inactive, or none where they cannot be read."""
        try:
            return states.stored(self._state)
        except StateError as error:
            self.complain(error)
            return ()

    def judge(self, settings: Settings, kinds: Collection[str], found: Iterable[Condition]) -> bool:
        """One look at everything of these kinds; whether there is something to tell."""
        try:
            return bool(judging.judge(self._state, settings.alerts, kinds, found, Moment.now()))
        except StateError as error:
            self.complain(error)
            return False

    def judge_database(self, settings: Settings, address: str, reason: str, hint: str) -> None:
        """One look at MySQL; `reason` is empty when it answered, `address` where none is configured."""
        wanted = address and settings.monitor.database.enabled
        found = [database.away(settings, address, reason, hint)] if wanted else []
        self.judge(settings, {database.AWAY}, found)

    def judge_server(self, settings: Settings, active: str, *, held: bool = False) -> None:
        """One look at the server's unit (its ActiveState) and at its ends; nobody is told while that is held.

        What ended during a pause or an upgrade is no news after it either.
        """
        now = Moment.now()
        try:
            records = history.read()
            ends = [record for record in records if record.is_end]
            if held:
                self._held_until = now.wall
            else:
                lost = history.unready(records)
                found = server.conditions(
                    settings, active, ends[-1].sentence() if ends else "", lost.sentence() if lost else ""
                )
                judging.judge(self._state, settings.alerts, server.KINDS, found, now)
            # What keeps the server down is an alert that lasts, not a restart.
            ended = [
                Event(f"{end.at}:{end.invocation}", end.at, end.sentence())
                for end in ends
                if end.reason is not Reason.REFUSED
            ]
            up = active not in _ON_THE_WAY
            looping = not held and crash_loop.judge(
                self._state, settings.alerts, ended, now, up=up, held_until=self._held_until
            )
            tell_restarts(self._state, settings, ended, now, held=held or looping)
        except StateError as error:
            self.complain(error)
        except OSError as error:
            self.complain(StateError(f"the server's history cannot be read: {error}"))

    def judge_binlogs(self, settings: Settings, report: Report | None, wall: float) -> None:
        """One look at what the unit noted (None: nothing is asked for)."""
        now = Moment.now()
        try:
            lag = report.lag(wall) if report else 0.0
            problem, hint, silent = (report.problem, report.hint, report.silent) if report else ("", "", False)
            gap, asked = (report.gap, report.asked_at > report.gap_at) if report and not report.covered else ("", False)
            found = (
                binlog.lag(settings, lag, problem, hint, silent=silent),
                binlog.gap(settings, gap, asked=asked),
            )
            judging.judge(self._state, settings.alerts, binlog.KINDS, found, now)
        except StateError as error:
            self.complain(error)

    def judge_backups(self, settings: Settings) -> None:
        """One look at what backups and drills have left."""
        try:
            tell_damage(self._state, settings, Moment.now())
            backup.judge(self._state, settings, Moment.now())
        except StateError as error:
            self.complain(error)

    def judge_destinations(self, settings: Settings) -> None:
        """After a change of the configuration: of a destination that it names no more nothing fires any more."""
        try:
            unreachable.judge(self._state, settings.alerts, Moment.now())
        except StateError as error:
            self.complain(error)

    def tell_pause(self) -> bool:
        """Tell the journal of a pause that began or ended; whether one lasts."""
        now = Moment.now()
        try:
            last, known = pause.read(), self._state.get(_PAUSE_FACT)
            told, told_now = pause.news(pause.Told(**known.value) if known else pause.Told(), last, now)
            if told_now:
                self._state.put(_PAUSE_FACT, asdict(told), now.wall)
        except StateError as error:
            self.complain(error)
            return pause.current(now) is not None
        except OSError as error:
            self.complain(StateError(f"the server's pause cannot be read: {error}"))
            return False
        for one in told_now:
            if one is pause.News.BEGAN and last is not None:
                text = (
                    f"the server's supervision is paused for {format_duration(last.seconds)} by {last.by}: {last.why}"
                )
                log.warning(text, message_id=events.PAUSE_BEGAN, by=last.by, why=last.why, seconds=last.seconds)
            else:
                log.info("the pause is over: the server is watched again", message_id=events.PAUSE_ENDED)
        return told.active

    def delivery_due(self, settings: Settings, now: float) -> bool:
        """Whether the deliverer is to be started."""
        to = [destination.id for destination in configured(settings.alerts)]
        try:
            due = tuple((row.id, row.attempts) for row in outbox.due(self._state, to, now))
        except StateError as error:
            self.complain(error)
            return False
        if not due or (due == self._last_due and 0 <= now - self._last_start < _SAME_AGAIN_S):
            return False
        self._last_due, self._last_start = due, now
        return True

    def complain(self, error: StateError, what: str = _NOT_KEPT) -> None:
        """Tell the journal of what is tried again every few seconds, but not each time."""
        if what == _NOT_KEPT:
            self.blindness.failed(error)
        now = time.monotonic()
        if now - self._complaints.get(error.message, -_COMPLAIN_AGAIN_S) >= _COMPLAIN_AGAIN_S:
            recent = {text: at for text, at in self._complaints.items() if now - at < _COMPLAIN_AGAIN_S}
            self._complaints = recent | {error.message: now}
            log.error(f"{what}: {error.message}", message_id=error.message_id, hint=error.hint)
