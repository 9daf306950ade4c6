"""Whether it is this host's network that is gone: never on the word of one machine, never against the word of one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wbagent.moment import Moment
from wbagent.monitor.reach import Reach, cut_off

HOSTS = ("db1", "store", "offsite", "127.0.0.1", "localhost")


def at(seconds: float) -> Moment:
    return Moment(seconds, seconds, "boot")


@given(st.lists(st.tuples(st.sampled_from(HOSTS), st.booleans(), st.integers(0, 100)), max_size=30))
def test_every_order_of_looks(looks: list[tuple[str, bool, int]]) -> None:
    reach, now = Reach(), 0
    newest: dict[str, tuple[bool, int]] = {}
    for host, reached, elapsed in looks:
        now += elapsed
        reach.note(host, reached, at(now))
        newest[host] = (reached, now)
        known = [reached for host, (reached, when) in newest.items() if host in HOSTS[:3] and now - when <= 180]
        assert cut_off(reach.found(at(now))) is (len(known) >= 2 and not any(known))
