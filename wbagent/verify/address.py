"""Whether the server can be used at the address that users open."""

from __future__ import annotations

from typing import Final

from wbagent.alerts.words import say
from wbagent.checks.check import Finding, fail, passed
from wbagent.config import Settings
from wbagent.errors import ConfigError
from wbagent.monitor.outside import Outside, Stage, ask, context

_TIMEOUT_S: Final = 10.0


def host_of(settings: Settings) -> str:
    """The address of [server] host; raises ConfigError where this host has no server."""
    if settings.server is None:
        raise ConfigError("this host has no [server], so there is no address to verify", hint="wbagent init")
    return settings.server.host


def seen(settings: Settings) -> Outside:
    """One question at that address. Raises OSError for authorities that cannot be read."""
    return ask(host_of(settings), _TIMEOUT_S, context(settings.monitor.certificate.authorities))


def judge(found: Outside, host: str) -> Finding:
    """A certificate that is refused is a failure although something answered: no client of users' goes on then."""
    if found.broken is not None:
        remedy = say("en", f"outside.mend_{found.broken}").replace("NAME", host.partition("://")[2].partition(":")[0])
        if found.broken is Stage.SILENT:
            remedy = "see load balancer, firewall and route"
        return fail(
            f"{say('en', f'outside.{found.broken}')} {found.said}", needed=f"ready at {host}/ready", remedy=remedy
        )
    if found.certificate is not None and found.certificate.doubt is not None:
        reason = say("en", f"certificate-refused.{found.certificate.doubt}")
        return fail(
            f"it answers, but its certificate is refused: {reason} ({found.certificate.said})",
            needed="a certificate that every client trusts",
            remedy="wbagent check tls",
        )
    return passed(f"ready at {host} in {found.seconds * 1000:.0f} ms")
