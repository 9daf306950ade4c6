"""Checks of the area "server": the wandb/local container, its unit, and what they were told to be."""

from __future__ import annotations

from collections.abc import Sequence

from wbagent.checks.check import Check, unconfigured
from wbagent.checks.server import configured, environment, kept, room, running
from wbagent.config import Settings

_NO_SERVER = "no [server] is configured on this host"


def checks(settings: Settings) -> Sequence[Check]:
    """Those that apply to this configuration."""
    server = settings.server
    if server is None:
        return (unconfigured("server", _NO_SERVER, "wbagent init, or [server] in /etc/wbagent.toml (wbagent.toml(5))"),)
    found = [
        Check("unit", running.unit(server), "systemd restarts what crashed, and starts it after a boot", "Container"),
        Check("probes", running.probes(server), "what users get when they open the address", "Probes"),
        Check("image", configured.image(server), "an image that is not pinned changes by surprise", "Container"),
        Check("container", running.container(server), "what runs should be what is configured", "Container"),
        Check(
            "start-up log",
            running.log(server),
            "the container stays up after fatal errors: only its log tells",
            "Verify",
        ),
        Check("state", kept.state, "the server's history and the key to its settings are kept there"),
        Check("restarts", running.restarts, "each was an outage for users"),
        Check("address", configured.address(server), "signed URLs and logins are made for HOST", "TLS"),
        Check("licence", configured.licence(server), "without one the server refuses most of its work", "Container"),
        Check("region", configured.region(server), "signatures are made for AWS_REGION", "Container"),
        Check("limits", room.limits(server), "the server needs 8 GB and 4 processors", "Container"),
        Check("volume", room.volume(server), "the server writes its files to /vol", "User"),
        Check("port", configured.port(server), "the load balancer connects to it", "Load balancer"),
        Check("environment", environment.environment(server), "a value that the server does not take stops logins"),
    ]
    if server.embedded:
        found.append(Check("embedded", configured.embedded, "one disk holds everything, and objects have no backup"))
    return found
