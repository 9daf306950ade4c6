"""Who raises alerts: the agent, the OnFailure= of the units, and Prometheus where it is asked for."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from wbagent.alerts.failed_units import UNITS as SILENT
from wbagent.checks.check import Finding, Subject, fail, note, passed, warn
from wbagent.config.model import MetricsSettings
from wbagent.errors import BusError
from wbagent.systemd.bus import Bus, Properties
from wbagent.systemd.unit_names import AGENT_UNIT, BACKUP_UNIT, BINLOG_UNIT, DRILL_UNIT, UPGRADE_UNIT

_TELLING: Final = (AGENT_UNIT, BACKUP_UNIT, DRILL_UNIT, BINLOG_UNIT, UPGRADE_UNIT)
_CONNECT_S: Final = 3.0


def unit(_: Subject) -> Finding:
    """wbagent.service."""
    with Bus() as bus:
        return judge_agent(bus.properties(AGENT_UNIT))


def judge_agent(properties: Properties) -> Finding:
    """Whether it runs, and will after a boot."""
    active = str(properties.get("ActiveState", "inactive"))
    if active not in {"active", "reloading"}:
        return fail(
            f"the agent does not run: {active}", needed="running", remedy=f"systemctl enable --now {AGENT_UNIT}"
        )
    if properties.get("UnitFileState") not in {"enabled", "enabled-runtime"}:
        return warn(
            "the agent runs, but is not enabled",
            needed="enabled: after a boot it is not there",
            remedy=f"systemctl enable {AGENT_UNIT}",
        )
    return passed("enabled and running")


def units(_: Subject) -> Iterator[Finding]:
    """Those of the product, failed or not, and whether each would tell."""
    try:
        with Bus() as bus:
            told = {name: tuple(bus.properties(name).get("OnFailure", ())) for name in _TELLING}
            # The agent's own failure is the check "agent".
            failed = bus.failed([name for name in (*SILENT, *_TELLING) if name != AGENT_UNIT])
    except BusError as error:
        # The check "agent" has failed with it.
        yield note(f"not looked at: {error.message}")
        return
    yield from judge_units(told, failed)


def judge_units(told: Mapping[str, tuple[str, ...]], failed: tuple[str, ...]) -> Iterator[Finding]:
    """`told`: what each unit starts when it fails."""
    mute = [name for name, started in told.items() if not any(each.startswith("wbagent-alert@") for each in started)]
    if mute:
        yield warn(
            f"these would fail without a word: {', '.join(mute)}",
            needed="OnFailure=wbagent-alert@%n.service",
            remedy=f"systemctl cat {mute[0]}  (which drop-in takes it out?); apt install --reinstall wbagent",
        )
    for name in failed:
        yield fail("it has failed", needed="not failed", remedy=f"systemctl status {name}", about=name)
    if not mute and not failed:
        yield passed(f"{len(told)} units tell when they fail, and none has")


def metrics(settings: MetricsSettings) -> Callable[[Subject], Finding]:
    """[metrics]."""

    def look(_: Subject) -> Finding:
        listen = settings.listen
        if listen is None:
            where = f"written to {settings.textfile}" if settings.textfile else "not asked for, which is fine"
            return passed(f"metrics are {where}")
        try:
            if listen.path is not None:
                with socket.socket(socket.AF_UNIX) as way:
                    way.settimeout(_CONNECT_S)
                    way.connect(str(listen.path))
            else:
                socket.create_connection((listen.host, listen.port), _CONNECT_S).close()
        except PermissionError:
            return note(f"this user may not connect to {listen}", remedy="run this as root")
        except OSError as error:
            return fail(
                f"nobody answers at {listen}: {error.strerror or error}",
                needed="the agent",
                remedy="journalctl -u wbagent -n 20; systemctl reload wbagent",
            )
        return passed(f"the agent answers at {listen}")

    return look
