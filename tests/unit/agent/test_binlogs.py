"""The agent keeps the unit that stores binary logs as the configuration says."""

from __future__ import annotations

import pytest

from wbagent.agent.binlogs import binlog_verb
from wbagent.agent.overview import UnitState
from wbagent.systemd.bus import Verb


@pytest.mark.parametrize(
    ("active", "wanted", "changed", "verb"),
    [
        ("inactive", True, False, Verb.START),
        ("inactive", True, True, Verb.START),
        ("inactive", False, False, None),
        ("active", True, False, None),
        ("active", True, True, Verb.RESTART),
        ("active", False, False, Verb.STOP),
        ("activating", True, False, None),
        ("activating", False, True, Verb.STOP),
        ("deactivating", True, True, None),
        ("failed", True, False, None),
        ("failed", True, True, Verb.RESTART),
        ("failed", False, True, None),
    ],
)
def test_what_is_done(active: str, wanted: bool, changed: bool, verb: Verb | None) -> None:
    unit = UnitState(active, "", enabled=False, text="", restarts=0, since=0.0)
    assert binlog_verb(unit, wanted=wanted, changed=changed) is verb
