"""Has units do something and follows that to its end: runs of oneshot jobs, starts and stops of services."""

from __future__ import annotations

import select
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from wbagent.systemd.bus import Bus, Properties, Verb

# A lost signal must not hang the terminal: the state is asked for at least this often (seconds).
_ASK_AGAIN_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class JobResult:
    """How the unit ended: systemd's Result= ("success", "exit-code", "timeout" …) and the process's exit status."""

    result: str
    exit_status: int

    @property
    def ok(self) -> bool:
        """Whether the unit did what it is there for."""
        return self.result == "success"


def run_unit(unit: str, on_status: Callable[[str], None], on_life: Callable[[], None] = lambda: None) -> JobResult:
    """Start `unit` unless it runs already, report each new STATUS= line, and wait for its end.

    `on_life` is called every few seconds meanwhile. Raises BusError, and AccessError for users that may not start it.
    """

    def ended(state: Properties) -> bool:
        # A queued job's unit still looks as it did before: the job's number is 0 only when it has ended.
        queued = state["Job"][0] != 0
        return not queued and state["ActiveState"] not in {"activating", "active", "reloading", "deactivating"}

    def begin() -> None:
        bus.start(unit)

    with Bus() as bus:
        state = _follow(bus, unit, begin, ended, on_status, on_life)
    return JobResult(str(state["Result"]), int(state["ExecMainStatus"]))


def run_job(
    verb: Verb, unit: str, on_status: Callable[[str], None] = lambda _: None, on_life: Callable[[], None] = lambda: None
) -> Properties:
    """Have a unit do something and wait until that job has ended, well or not; the unit's properties then.

    A start joins one that is under way. Raises BusError, AccessError.
    """
    job = [0]

    def begin() -> None:
        job[0] = bus.job(verb, unit)

    with Bus() as bus:
        return _follow(bus, unit, begin, lambda state: state["Job"][0] != job[0], on_status, on_life)


def wait_for_end(unit: str, on_life: Callable[[], None]) -> None:
    """Wait until a oneshot unit does not run; returns at once when it does not. Raises BusError."""
    with Bus() as bus:
        _follow(
            bus,
            unit,
            lambda: None,
            lambda state: state["ActiveState"] in {"inactive", "failed"},
            lambda _: None,
            on_life,
        )


def _follow(
    bus: Bus,
    unit: str,
    begin: Callable[[], None],
    ended: Callable[[Properties], bool],
    on_status: Callable[[str], None],
    on_life: Callable[[], None],
) -> Properties:
    seen = False
    before = bus.properties(unit)
    # systemd keeps the last line of a run that is over: it is no news of the one that begins.
    over = before["ActiveState"] in {"inactive", "failed"}
    told = [str(before.get("StatusText", "")) if over else ""]

    def changed(_unit: str, properties: Properties) -> None:
        nonlocal seen
        seen = True
        status = str(properties.get("StatusText", ""))
        # One change of state sends the same text several times.
        if status and status != told[-1]:
            told.append(status)
            on_status(status)

    bus.subscribe((unit,), changed)
    begin()
    while True:
        bus.process()
        state = bus.properties(unit)
        if ended(state):
            return state
        on_life()
        # What came while the answer was awaited lies in the bus's own queue already, where select() does not look.
        seen = False
        bus.process()
        if not seen:
            select.select([bus.fileno()], [], [], _ASK_AGAIN_S)
