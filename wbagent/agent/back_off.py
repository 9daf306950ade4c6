"""When the server's stepped back-off is to start anew: systemd itself never forgets a restart (RestartSteps=)."""

from __future__ import annotations

from typing import Final

from wbagent.agent.overview import UnitState

# Seconds of serving without a break.
HEALTHY_S: Final = 600.0


def back_off_forgets(server: UnitState, now: float) -> bool:
    """Whether the count of restarts is to be set back to 0; `now` is wall-clock seconds.

    Invariant: only for a server that was restarted, serves, and has done so without a break for more than `HEALTHY_S`.
    A server between two restarts is never healthy, however far apart they are, so a crash loop keeps its back-off; a
    unit that never changed its state (`since` 0) says nothing.
    """
    return server.serving and server.restarts > 0 and 0 < server.since < now - HEALTHY_S
