"""The alert about failed units of the product whose failure nobody else tells.

Those with OnFailure= tell it themselves, and the server's ends are told by the agent (`restarts`, `crash_loop`). What
is left: the sockets, the deliverer, and the units that tell of the others.
"""

from __future__ import annotations

from typing import Final

from wbagent.alerts.condition import Condition
from wbagent.alerts.unit_failure import Ended
from wbagent.alerts.watch import Seen
from wbagent.config import Settings
from wbagent.errors import WbagentError
from wbagent.moment import Moment
from wbagent.monitor.sample import Sample
from wbagent.systemd.bus import Bus, Properties
from wbagent.systemd.unit_names import DELIVER_UNIT

KIND: Final = "unit-down"
_TELL_THEMSELVES: Final = ("wbagent", "wbagent-backup", "wbagent-binlog", "wbagent-drill", "wbagent-upgrade")
UNITS: Final = (
    "wandb-local-mysql.socket",
    "wandb-local-files.socket",
    "wandb-local-drill.socket",
    DELIVER_UNIT,
    *(f"wbagent-alert@{unit}.service.service" for unit in _TELL_THEMSELVES),
)
_NO_DATA_FOR_S: Final = 3600.0


class FailedUnitsWatch:
    """Units that failed and stay so until somebody looks."""

    kinds = frozenset({KIND})

    def every(self, settings: Settings) -> float | None:
        """As [monitor.units] says."""
        units = settings.monitor.units
        return units.sample_every if units.enabled else None

    def look(self, settings: Settings, _now: Moment) -> Seen:
        """Ask once, by one call where nothing has failed."""
        try:
            with Bus() as bus:
                failed = {unit: bus.properties(unit) for unit in bus.failed(UNITS)}
        except WbagentError as error:
            return Seen(tuple(condition(settings, unit, None, problem=error.message) for unit in UNITS))
        conditions = tuple(condition(settings, unit, failed.get(unit)) for unit in UNITS)
        return Seen(conditions, (Sample("wbagent_units_failed", float(len(failed))),))


def condition(settings: Settings, unit: str, failure: Properties | None, *, problem: str = "") -> Condition:
    """One look at a unit: its properties when it has failed, None when not, or when there was a `problem` in asking."""
    language = settings.alerts.language
    ended = Ended(str((failure or {}).get("Result", "")), "", "", "").sentence(language) if failure else ""
    return Condition(
        KIND,
        None if problem else float(failure is not None),
        about=unit,
        every=settings.monitor.units.sample_every,
        facts={"unit": unit, "ended": ended},
        no_data=problem,
        # `systemctl status wbagent` says at once that systemd cannot be asked; told once, not for each unit.
        no_data_for=_NO_DATA_FOR_S if unit == UNITS[0] else float("inf"),
    )
