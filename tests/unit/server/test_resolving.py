"""Which names the server's container finds, of those that this host knows."""

from __future__ import annotations

import pytest

from wbagent.server.resolving import Lookup, look_up, unseen

DB1 = ("10.1.2.3",)


@pytest.mark.parametrize(
    ("found", "said", "remedy", "sure"),
    [
        (Lookup("db1", DB1, (), hosts_file=True), "from its /etc/hosts", "its address, 10.1.2.3; or add db1", True),
        # Of another daemon of names, such as mDNS.
        (Lookup("db1.local", DB1, ()), "not from the DNS", "its address, 10.1.2.3", True),
        (Lookup("db1", DB1, (), hosts_file=True, sure=False), "does not know it", "its address, 10.1.2.3", False),
        # A resolver on this host reads /etc/hosts.
        (Lookup("db1", DB1, DB1, hosts_file=True, sure=False), "another DNS", "see that its DNS knows db1", False),
        (Lookup("127.0.0.1", ("127.0.0.1",), ("127.0.0.1",)), "127.0.0.1 is this host itself", "other hosts", True),
        (Lookup("localhost", ("::1", "127.0.0.1"), ()), "localhost (::1, 127.0.0.1) is", "other hosts", True),
        (Lookup("web1", ("127.0.1.1",), (), hosts_file=True), "web1 (127.0.1.1) is", "other hosts", True),
    ],
)
def test_what_the_container_does_not_find(found: Lookup, said: str, remedy: str, sure: bool) -> None:
    trouble = unseen(found)
    assert trouble
    assert said in trouble.said
    assert remedy in trouble.remedy
    assert trouble.sure is sure


@pytest.mark.parametrize(
    "found",
    [
        Lookup("db1.example.com", DB1, DB1),
        # By the search list, which Docker hands on.
        Lookup("db1", DB1, DB1),
        Lookup("db1", DB1, DB1, hosts_file=True),
        # As Debian's installer writes it, where the DNS knows better.
        Lookup("web1.example.com", ("127.0.1.1",), DB1, hosts_file=True),
        # Who connects to it tells that.
        Lookup("nosuch.example.com", (), ()),
        Lookup("10.1.2.3", DB1, DB1),
        Lookup("fd00::1", ("fd00::1",), ("fd00::1",)),
    ],
)
def test_what_it_finds(found: Lookup) -> None:
    assert unseen(found) is None


def test_an_address_is_found_without_asking() -> None:
    assert look_up("10.1.2.3") == Lookup("10.1.2.3", DB1, DB1)
    assert look_up("[::1]").by_dns == ("::1",)
