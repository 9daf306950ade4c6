"""The alerts about the way that users take to the server: the address in [server] host, its certificate and answers."""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import Enum
from typing import Final

from wbagent.alerts import certificate
from wbagent.alerts.condition import Condition
from wbagent.alerts.database import AWAY
from wbagent.alerts.network import NETWORK
from wbagent.alerts.watch import Seen
from wbagent.alerts.words import say
from wbagent.config import Settings
from wbagent.moment import Moment
from wbagent.monitor.outside import Outside, ask
from wbagent.monitor.rules import Severity
from wbagent.monitor.sample import Sample
from wbagent.quantities import format_duration

OUTSIDE: Final = "outside"
SLOW: Final = "outside-slow"
_SLOW_FOR_S: Final = 300.0
# Each of these may take the whole time-out: to connect, to speak TLS, to send and to read an answer.
_STEPS: Final = 3
_CAUSES: Final = (NETWORK, AWAY, "server-failed", "server-down", "server-unready", "store:files")


class Serving(Enum):
    """Whether an answer is to be expected."""

    YES = "yes"
    STOPPED = "stopped"
    NOT_NOW = "not now"


class OutsideWatch:
    """One question a look, for readiness and certificate both. `serving` says what this host's server is at."""

    kinds = frozenset({OUTSIDE, SLOW, certificate.EXPIRY, certificate.REFUSED})

    def __init__(self, serving: Callable[[], Serving]) -> None:
        self._serving = serving

    def every(self, settings: Settings) -> float | None:
        """As [monitor.outside] says, where there is a server; also for the certificate alone."""
        wanted = settings.monitor.outside.enabled or settings.monitor.certificate.enabled
        return settings.monitor.outside.every if settings.server and wanted else None

    def look(self, settings: Settings, now: Moment) -> Seen:
        """Ask, unless a stopped server makes the answer no news."""
        server, limits = settings.server, settings.monitor
        if server is None:
            return Seen()
        before = self._serving()
        try:
            found = ask(server.host, limits.outside.timeout, limits.certificate.authorities)
        except OSError as error:
            # A file of [monitor.certificate] authorities that was there when the configuration was read.
            files = ", ".join(str(path) for path in limits.certificate.authorities)
            host = {"host": server.host}
            blind = Condition(OUTSIDE, None, because_of=_CAUSES, facts=host, no_data=f"{files}: {error}")
            return Seen((blind,), of={OUTSIDE})
        # A server that was stopped meanwhile is none that fails.
        serving = self._serving() if before is Serving.YES else before
        conditions: tuple[Condition, ...] = ()
        if limits.certificate.enabled and server.host.startswith("https:"):
            conditions = certificate.conditions(settings, found.certificate, time.time(), OUTSIDE)
        if limits.outside.enabled:
            conditions += of_outside(settings, found, serving)
        samples: tuple[Sample, ...] = (
            Sample("wbagent_outside_ready", float(found.broken is None)),
            Sample("wbagent_outside_seconds", found.seconds),
        )
        if found.certificate and found.certificate.expires is not None:
            samples += (Sample("wbagent_certificate_expiry_timestamp_seconds", found.certificate.expires),)
        return Seen(conditions, samples)


def of_outside(settings: Settings, found: Outside, serving: Serving) -> tuple[Condition, ...]:
    """What one answer says. Of a server that a person stopped nothing is told; one that starts is not judged yet."""
    language, limits = settings.alerts.language, settings.monitor.outside
    host = settings.server.host if settings.server else ""
    window = limits.for_minutes * 60
    # Where nobody answers, looks are so far apart: one waits for its time-outs.
    every = limits.every + _STEPS * limits.timeout
    stage = found.broken.value if found.broken else ""
    stopped = serving is Serving.STOPPED
    # How it ends, when it does with this look: browsers refuse what answers with a certificate that they doubt.
    doubted = settings.monitor.certificate.enabled and found.certificate and found.certificate.doubt
    ended = "stopped" if stopped else "doubted" if doubted else "good"
    said = say(language, f"{OUTSIDE}.said_stopped", {"said": found.said}) if stopped and stage else found.said
    value = {Serving.YES: float(bool(stage)), Serving.STOPPED: 0.0, Serving.NOT_NOW: None}[serving]
    return (
        Condition(
            OUTSIDE,
            value,
            severity=Severity.CRITICAL,
            for_seconds=window,
            resolve_for=limits.every,
            every=every,
            because_of=_CAUSES,
            facts={
                "host": host,
                "said": said,
                "ended": say(language, f"{OUTSIDE}.{ended}", {"host": host}),
                "part": say(language, f"{OUTSIDE}.{stage}") if stage else "",
                "mend": say(language, f"{OUTSIDE}.mend_{stage}") if stage else "",
            },
            no_data_for=float("inf"),
        ),
        Condition(
            SLOW,
            None if stage or serving is not Serving.YES else found.seconds,
            limits.slow,
            measured_in="seconds",
            for_seconds=_SLOW_FOR_S,
            resolve_for=_SLOW_FOR_S,
            every=every,
            because_of=(*_CAUSES, OUTSIDE),
            facts={
                "host": host,
                "seconds": format_duration(found.seconds),
                "limit": format_duration(limits.slow),
                "window": format_duration(_SLOW_FOR_S),
            },
            no_data_for=float("inf"),
        ),
    )
