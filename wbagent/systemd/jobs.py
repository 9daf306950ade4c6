"""Starts a oneshot unit for a person and follows it to its end."""

from __future__ import annotations

import select
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from wbagent.systemd.bus import Bus, Properties

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


def run_unit(unit: str, on_status: Callable[[str], None]) -> JobResult:
    """Start `unit` unless it runs already, report each new STATUS= line, and wait for its end.

    Raises BusError, and AccessError for users that may not start it.
    """
    with Bus() as bus:
        told = [""]

        def changed(_unit: str, properties: Properties) -> None:
            status = str(properties.get("StatusText", ""))
            # One change of state sends the same text several times.
            if status and status != told[-1]:
                told.append(status)
                on_status(status)

        bus.subscribe((unit,), changed)
        bus.start(unit)
        while True:
            bus.process()
            state = bus.properties(unit)
            # A queued job's unit still looks as it did before: the job's number is 0 only when it has ended.
            queued = state["Job"][0] != 0
            if not queued and state["ActiveState"] not in {"activating", "active", "reloading", "deactivating"}:
                return JobResult(str(state["Result"]), int(state["ExecMainStatus"]))
            select.select([bus.fileno()], [], [], _ASK_AGAIN_S)
