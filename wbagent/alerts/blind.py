"""The alert that alerts cannot be kept: remembered in memory, told past the outbox, since the state file fails."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from wbagent.alerts import outbox
from wbagent.alerts.condition import Condition, compose
from wbagent.alerts.destination import configured
from wbagent.alerts.judging import message_id_of
from wbagent.alerts.message import Message, write_to_journal
from wbagent.alerts.words import say
from wbagent.config import Settings
from wbagent.errors import StateError
from wbagent.moment import Moment
from wbagent.monitor.rules import INACTIVE, Severity, Transition, evaluate
from wbagent.state import State

KIND: Final = "alerts-blind"
# Between two looks (seconds), and before what nobody took is tried again.
EVERY_S: Final = 10.0
_AGAIN_S: Final = 60.0
# What passes within this is a lock that was held or a file that was set aside; over is what has worked for this long.
# Between two looks' times, which are never exact.
_FOR_S: Final = 15.0
_OVER_S: Final = 25.0
_PROOF: Final = "alerts.kept"
# What a message takes in the file's rollback journal and in the file, generously: a smaller write may still find room.
_PROOF_BYTES: Final = 32_768


class Blindness:
    """Whether alerts can be kept. The agent's end forgets it: without a state file the agent does not start either."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._alert = self._before = INACTIVE
        self._error: StateError | None = None
        self._failed = False
        self._refused_at: Moment | None = None

    @property
    def why(self) -> str:
        """Why nobody is told of anything now; "" when people are told, or for no longer than a moment not."""
        return self._error.message if self._error and self._alert.fires else ""

    @property
    def hint(self) -> str:
        """What mends it."""
        return self._error.hint if self._error and self._alert.fires else ""

    def failed(self, error: StateError) -> None:
        """An alert was not kept."""
        self._error, self._failed = error, True

    def suspect(self, error: StateError) -> None:
        """Something else beside the alerts was not kept: the next look tries whether these are."""
        self._error = self._error or error

    def look(self, settings: Settings, now: Moment) -> Message | None:
        """What is to be sent past the outbox now. That it is over goes into the outbox, which works again.

        While nothing fails, nothing is written.
        """
        if self._error is None:
            return None
        failed = self._failed or not self._can_keep(now)
        self._failed = False
        if self._refused_at is not None and failed and (now.since(self._refused_at) or 0.0) < _AGAIN_S:
            return None
        found = condition(settings, self._error, failed=failed)
        self._before = self._alert
        result = evaluate(found.rule(settings.alerts.repeat_every), self._alert, found.value, now)
        self._alert = result.state
        message = None
        if result.transition is not None:
            message = compose(found, result.transition, self._before, now, settings.alerts.language)
            if result.transition is Transition.RESOLVED and not self._enqueued(message, settings, now):
                return None
            over = result.transition is Transition.RESOLVED
            message_id = message_id_of(KIND, result.transition)
            write_to_journal(message, message_id, alert_kind=KIND, transition=result.transition.value)
            message = None if over else message
        if self._alert == INACTIVE:
            self._error = self._refused_at = None
        return message

    def sent(self, now: Moment, *, taken: bool) -> None:
        """What became of the message; one that nobody took is tried again."""
        self._refused_at = None if taken else now
        if not taken:
            self._alert = replace(self._alert, told=self._before.told)

    def _can_keep(self, now: Moment) -> bool:
        try:
            # Twice, since the second one has to keep the first one's pages for a rollback.
            for filler in "01":
                self._state.put(_PROOF, filler * _PROOF_BYTES, now.wall)
            self._state.put(_PROOF, "", now.wall)
        except StateError as error:
            self._error = error
            return False
        return True

    def _enqueued(self, message: Message, settings: Settings, now: Moment) -> bool:
        try:
            with self._state.transaction():
                outbox.enqueue(self._state, message, configured(settings.alerts), now.wall)
        except StateError as error:
            self._alert = self._before
            self.failed(error)
            return False
        return True


def condition(settings: Settings, error: StateError, *, failed: bool) -> Condition:
    """One look."""
    hint = error.hint or say(settings.alerts.language, f"{KIND}.mend")
    return Condition(
        KIND,
        float(failed),
        severity=Severity.CRITICAL,
        for_seconds=_FOR_S,
        resolve_for=_OVER_S,
        every=EVERY_S,
        facts={"reason": error.message, "hint": hint},
    )
