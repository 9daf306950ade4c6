"""Whether the server can be used at the address that users open."""

from __future__ import annotations

from typing import Final

from wbagent.alerts.words import say
from wbagent.checks.check import Finding, fail, note, passed
from wbagent.config import Settings
from wbagent.errors import ConfigError
from wbagent.monitor.outside import Outside, Stage, ask

_TIMEOUT_S: Final = 10.0


def host_of(settings: Settings) -> str:
    """The address of [server] host; raises ConfigError where this host has no server."""
    if settings.server is None:
        raise ConfigError("this host has no [server], so there is no address to verify", hint="wbagent init")
    return settings.server.host


def seen(settings: Settings) -> Outside:
    """One question at that address. Raises OSError for authorities that cannot be read."""
    return ask(host_of(settings), _TIMEOUT_S, settings.monitor.certificate.authorities)


def judge(found: Outside, host: str) -> Finding:
    """Whether it is ready; a certificate that is refused is only named: the area tls says all of it."""
    if found.broken is not None:
        remedy = say("en", f"outside.mend_{found.broken}").replace("NAME", host.partition("://")[2].partition(":")[0])
        if found.broken is Stage.SILENT:
            remedy = "see load balancer, firewall and route"
        return fail(
            f"{say('en', f'outside.{found.broken}')} {found.said}", needed=f"ready at {host}/ready", remedy=remedy
        )
    quick = f"ready at {host} in {found.seconds * 1000:.0f} ms"
    if refused := refusal(found):
        return note(f"{quick}, but {refused}", remedy="see tls")
    return passed(quick)


def refusal(found: Outside) -> str:
    """Why clients do not go on although somebody answers; "" where they do."""
    if found.certificate is None or found.certificate.doubt is None:
        return ""
    reason = say("en", f"certificate-refused.{found.certificate.doubt}")
    return f"its certificate is refused: {reason} ({found.certificate.said})"
