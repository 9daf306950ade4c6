"""What is told when a unit of the product fails: how it ended, why that matters, what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Self

from wbagent.alerts.message import Message, event
from wbagent.alerts.words import say, texts
from wbagent.errors import EX_CONFIG

# sysexits.h, in the words of `systemctl status`, for the statuses that this product ends with.
_STATUS_NAMES: Final = {
    "64": "USAGE", "69": "UNAVAILABLE", "70": "SOFTWARE", "73": "CANTCREAT", "74": "IOERR", "75": "TEMPFAIL",
    "77": "NOPERM", "78": "CONFIG",
}  # fmt: skip


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

    @property
    def for_good(self) -> bool:
        """Whether systemd does not start it again: RestartPreventExitStatus= of the units, a wrong configuration."""
        return (self.code, self.status) == ("exited", str(EX_CONFIG))

    def sentence(self, language: str) -> str:
        """How it ended, in words."""
        if known := say(language, f"unit-failed.{self.result}"):
            return known
        if self.code in {"killed", "dumped"}:
            return say(language, "unit-failed.killed", {"status": self.status})
        if self.code == "exited":
            name = _STATUS_NAMES.get(self.status)
            return say(language, "unit-failed.exited", {"status": self.status + (f"/{name}" if name else "")})
        return say(language, "unit-failed.failed", {"result": self.result or say(language, "unit-failed.no_reason")})


def compose(unit: str, ended: Ended, reason: str, hint: str, now: float, language: str) -> Message:
    """The message. `reason` (may be empty) is the unit's own last word, `hint` its advice."""
    facts = {"unit": unit, "ended": ended.sentence(language), "reason": reason}
    message = event(
        "unit-failed",
        facts,
        now,
        language,
        fingerprint=f"unit:{unit}",
        what=say(language, "unit-failed.what_reason", facts) if reason else "",
    )
    own = unit.removesuffix(".service")
    if own in texts(language):
        known = {part: say(language, f"{own}.{part}") for part in ("name", "why", "remedy")}
        message = replace(message, severity="critical", title=known["name"], why=known["why"], remedy=known["remedy"])
    return replace(message, remedy=hint) if hint else message
