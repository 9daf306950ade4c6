"""Which addresses are this machine's own, as its kernel has them."""

from __future__ import annotations

import os
import sys

import psutil
import pytest

from tests.testbed.command import run
from wbagent.addresses import THIS_MACHINE, addresses_of

# Of RFC 5737: nobody's.
ELSEWHERE = "198.51.100.7"
ASK = "import sys; from wbagent.addresses import addresses_of; print(*(addresses_of(each) for each in sys.argv[1:]))"


def test_its_own_are_this_machine() -> None:
    own = [each.address for found in psutil.net_if_addrs().values() for each in found if each.family.name == "AF_INET"]
    for address in (*own, "127.0.0.1", "127.3.2.1", "0.0.0.0", "::1", "localhost"):
        assert addresses_of(address) == {THIS_MACHINE}, address
    assert addresses_of(ELSEWHERE) == {ELSEWHERE}
    assert addresses_of("no-such-host.invalid") == set()


def test_where_every_address_can_be_bound_to() -> None:
    """As on a host with keepalived."""
    if os.geteuid() != 0:
        pytest.skip("needs root: a network of its own is made")
    there = 'ip link set lo up; ip addr add 10.1.1.1/24 dev lo; sysctl -qw net.ipv4.ip_nonlocal_bind=1; exec "$@"'
    ask = [sys.executable, "-c", ASK, ELSEWHERE, "10.1.1.1"]
    said = run(["unshare", "--net", "sh", "-ec", there, "sh", *ask]).stdout
    assert said.strip() == f"{ {ELSEWHERE} } { {THIS_MACHINE} }"
