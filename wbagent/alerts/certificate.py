"""The alerts about the certificate that users get: it expires, or browsers refuse it."""

from __future__ import annotations

import time
from typing import Final

from wbagent.alerts.condition import Condition
from wbagent.alerts.words import say
from wbagent.config import Settings
from wbagent.config.monitor import CertificateSettings
from wbagent.monitor.outside import Certificate, Doubt
from wbagent.monitor.rules import Severity

EXPIRY: Final = "certificate-expiry"
REFUSED: Final = "certificate-refused"
_DAY_S: Final = 86400.0
_FOR_S: Final = 60.0
_CONNECTIONS: Final = 3


def step(limits: CertificateSettings, left: float) -> int:
    """How urgent `left` seconds of validity are: 0 not at all, 1 and 2 warnings, 3 critical, 4 over.

    Invariant: it never falls as time passes.
    """
    if left <= 0:
        return 4
    days = (limits.critical_days, limits.again_days, limits.warn_days)
    return next((urgency for urgency, limit in zip((3, 2, 1), days, strict=True) if left <= limit * _DAY_S), 0)


def conditions(settings: Settings, shown: Certificate | None, now: float, cause: str) -> tuple[Condition, ...]:
    """What there is to say; `shown` is None where nobody answered: `cause` is the alert (fingerprint) on that.

    One that has expired is told as expired, and not as refused too.
    """
    limits, server = settings.monitor.certificate, settings.server
    host = server.host if server else ""
    expired = shown is not None and shown.doubt is Doubt.EXPIRED
    left = None if shown is None or shown.expires is None else shown.expires - now
    urgency = None if left is None else step(limits, left)
    if expired:
        left, urgency = min(left or 0.0, 0.0), 4
    because_of = (cause,) if shown is None else ()
    doubt = None if shown is None or expired else shown.doubt
    language = settings.alerts.language
    date = "" if shown is None or shown.expires is None else time.strftime("%Y-%m-%d", time.localtime(shown.expires))
    phrase = "over_already" if urgency == 4 else "in_days"
    facts = {
        "host": host,
        "when": say(language, f"{EXPIRY}.{phrase}", {"days": int((left or 0.0) // _DAY_S), "date": date}),
        "date": date,
    }
    silent = say(language, f"{REFUSED}.no_answer")
    return (
        Condition(
            REFUSED,
            None if shown is None else float(bool(doubt)),
            severity=Severity.CRITICAL,
            for_seconds=_FOR_S,
            # A look that has to read a certificate that is refused connects three times.
            every=settings.monitor.outside.every + _CONNECTIONS * settings.monitor.outside.timeout,
            because_of=because_of,
            facts={
                "host": host,
                "reason": say(language, f"{REFUSED}.{doubt.value}") if doubt else "",
                "said": shown.said if shown else "",
            },
            no_data=silent,
        ),
        Condition(
            EXPIRY,
            None if urgency is None else float(urgency),
            severity=Severity.CRITICAL if (urgency or 0) >= 3 else Severity.WARNING,
            repeat_at_least=_DAY_S if (urgency or 0) >= 3 else 7 * _DAY_S,
            escalates=True,
            because_of=because_of or (REFUSED,) * (urgency is None),
            facts=facts,
            no_data=silent,
        ),
    )
