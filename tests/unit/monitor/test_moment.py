"""Distances in time that survive reboots and clocks that are set."""

from __future__ import annotations

import json

from wbagent.moment import Moment


def test_within_a_boot_the_wall_clock_does_not_matter() -> None:
    earlier = Moment(wall=1_000_000.0, boottime=50.0, boot_id="a")
    assert Moment(wall=5.0, boottime=80.0, boot_id="a").since(earlier) == 30.0
    assert Moment(wall=9e9, boottime=80.0, boot_id="a").since(earlier) == 30.0


def test_across_boots_the_wall_clock_is_all_there_is() -> None:
    earlier = Moment(wall=1_000_000.0, boottime=5000.0, boot_id="a")
    assert Moment(wall=1_000_100.0, boottime=20.0, boot_id="b").since(earlier) == 100.0


def test_a_clock_set_back_across_a_reboot_tells_nothing() -> None:
    earlier = Moment(wall=1_000_000.0, boottime=5000.0, boot_id="a")
    assert Moment(wall=999_999.0, boottime=20.0, boot_id="b").since(earlier) is None


def test_now_moves_on() -> None:
    first = Moment.now()
    second = Moment.now()
    elapsed = second.since(first)
    assert elapsed is not None
    assert 0 <= elapsed < 60


def test_json_round_trip() -> None:
    moment = Moment.now()
    assert Moment.from_json(json.loads(json.dumps(moment.to_json()))) == moment
