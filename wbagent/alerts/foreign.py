"""What another version left in the state file and this one does not understand: it is given up when an agent starts."""

from __future__ import annotations

from wbagent.alerts import history, outbox, states
from wbagent.moment import Moment
from wbagent.state import State


def give_up(state: State, now: Moment) -> tuple[str, ...]:
    """A sentence on each alert and message that went, else nobody would be told of anything any more.

    What still fires is told anew at the next look. Raises StateError.
    """
    with state.transaction():
        alerts, messages = states.forget_foreign(state), outbox.forget_foreign(state)
        for fingerprint in alerts:
            history.note(state, fingerprint, "", began=False, at=now.wall)
    return (
        *(f'alert "{fingerprint}" was stored by another version of wbagent, and begins anew' for fingerprint in alerts),
        *(f"a message to {label} was stored by another version of wbagent, and is given up" for label in messages),
    )
