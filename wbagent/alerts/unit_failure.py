"""What is told when a unit of the product fails: how it ended, why that matters, what to do."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from wbagent.alerts.message import Kind, Message

# sysexits.h, in the words of `systemctl status`, for the statuses that this product ends with.
_STATUS_NAMES: Final = {
    "64": "USAGE", "69": "UNAVAILABLE", "70": "SOFTWARE", "73": "CANTCREAT", "74": "IOERR", "75": "TEMPFAIL",
    "77": "NOPERM", "78": "CONFIG",
}  # fmt: skip
_RESULTS: Final = {
    "timeout": "took longer than its time limit and was ended",
    "watchdog": "stopped showing progress and was ended (watchdog)",
    "oom-kill": "was killed because memory ran out",
    "start-limit-hit": "failed too often and is not started again",
    "resources": "could not be started: systemd lacked a resource",
    "protocol": "ended before it said that it was ready",
}


@dataclass(frozen=True, slots=True)
class Meaning:
    """What the failure of one unit means to people."""

    title: str
    severity: str
    why: str
    remedy: str


_MEANINGS: Final = {
    "wandb-local.service": Meaning(
        "W&B server is down, not restarted",
        "critical",
        "nobody can use the server, and systemd does not try again until it is mended",
        "mend what is named, then: systemctl restart wandb-local",
    ),
    "wbagent.service": Meaning(
        "the agent failed",
        "critical",
        "until it runs again nothing is watched and no backup is started; the server itself goes on",
        "wbagent config check; systemctl restart wbagent",
    ),
    "wbagent-upgrade.service": Meaning(
        "upgrade of the W&B server failed",
        "critical",
        "the server may run with its old image, or not at all",
        "wbagent server upgrade --status says what was done and what to do next",
    ),
    "wbagent-backup.service": Meaning(
        "backup failed",
        "critical",
        "W&B's guide asks for a backup every day; the newest good one gets older",
        "mend what is named, then: systemctl start wbagent-backup",
    ),
    "wbagent-drill.service": Meaning(
        "a backup is not proven",
        "critical",
        "the newest backup may not restore, and only proven ones can be counted on",
        "wbagent backup list tells which are proven; to try again: wbagent backup drill",
    ),
}
_OTHER: Final = Meaning("a unit failed", "warning", "its work was not done", "mend what is named, then start it again")


@dataclass(frozen=True, slots=True)
class Ended:
    """How systemd saw the unit end. `status` is an exit status or a signal's name; `invocation` may be empty."""

    result: str
    code: str
    status: str
    invocation: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self | None:
        """What systemd (>= 251) tells a unit that OnFailure= started; None where it does not."""
        if "MONITOR_SERVICE_RESULT" not in environment:
            return None
        return cls(
            environment["MONITOR_SERVICE_RESULT"],
            environment.get("MONITOR_EXIT_CODE", ""),
            environment.get("MONITOR_EXIT_STATUS", ""),
            environment.get("MONITOR_INVOCATION_ID", ""),
        )

    def sentence(self) -> str:
        """How it ended, in words."""
        if known := _RESULTS.get(self.result):
            return known
        if self.code in {"killed", "dumped"}:
            return f"was killed by signal {self.status}"
        if self.code == "exited":
            name = _STATUS_NAMES.get(self.status)
            return f"ended with exit status {self.status}" + (f"/{name}" if name else "")
        return f"failed ({self.result or 'systemd names no reason'})"


def compose(unit: str, ended: Ended, reason: str, hint: str, now: float) -> Message:
    """The message. `reason` (may be empty) is the unit's own last word, `hint` its advice."""
    meaning = _MEANINGS.get(unit, _OTHER)
    what = f"{unit} {ended.sentence()}" + (f": {reason}" if reason else ".")
    return Message(
        fingerprint=f"unit:{unit}",
        kind=Kind.EVENT,
        severity=meaning.severity,
        title=meaning.title if unit in _MEANINGS else f"{unit} failed",
        what=what,
        host=socket.gethostname(),
        at=now,
        why=meaning.why,
        remedy=hint or meaning.remedy,
        look=f"systemctl status {unit}; journalctl -x -u {unit} -n 50",
    )
