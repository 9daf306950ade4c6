"""The containers of the host: whose wandb-local is, and whether the logs of the others have an end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from wbagent.checks.check import Finding, fail, passed, warn
from wbagent.checks.docker.look import Daemon
from wbagent.config import Settings
from wbagent.server.foreign import whose
from wbagent.server.specification import HASH_LABEL, NAME

# Drivers that write a file which grows unless it is told where to end; "local" ends at 100 MB by itself.
_GROWING: Final = "json-file"


def own(daemon: Daemon, _: Settings) -> Finding:
    """Whether one of that name is there, who made it, and that only systemd starts it."""
    details = daemon.containers.get(NAME)
    if details is None:
        return passed(f"no container is named {NAME} yet")
    if HASH_LABEL not in (details["Config"].get("Labels") or {}):
        return fail(
            f"a {NAME} that wbagent did not make: {whose(details)}",
            needed="none, or wbagent's own",
            remedy=f"to take over (the volume stays): docker stop --time 60 {NAME} && docker rm {NAME}\n"
            "systemctl enable --now wandb-local",
        )
    policy = (details["HostConfig"].get("RestartPolicy") or {}).get("Name") or "no"
    if policy != "no":
        return warn(
            f'its restart policy is "{policy}": Docker starts it again by itself, which its image does not survive',
            needed="none: systemd restarts it anew",
            remedy=f"docker update --restart=no {NAME}",
        )
    return passed(f"wbagent's own, {details['State'].get('Status', '')}")


def other_logs(daemon: Daemon, _: Settings) -> Iterator[Finding]:
    """Logs as files without a largest size."""
    endless = sorted(name for name, details in daemon.containers.items() if _endless(details["HostConfig"]))
    if not endless:
        yield passed("no container's log grows without an end")
        return
    shown = ", ".join(endless[:5]) + (f" and {len(endless) - 5} more" if len(endless) > 5 else "")
    yield warn(
        f"the log of {shown} is a file without a largest size",
        needed="max-size for each container's log",
        remedy='"log-driver": "json-file", "log-opts": {"max-size": "50m", "max-file": "3"}'
        "    # in /etc/docker/daemon.json\nsystemctl restart docker, then make those containers anew",
    )


def _endless(host_config: Mapping[str, Any]) -> bool:
    log = host_config.get("LogConfig") or {}
    return log.get("Type") == _GROWING and "max-size" not in (log.get("Config") or {})
