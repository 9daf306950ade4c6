"""Firewall rules: what refuses the port is shown, what is about others is not, nor what Docker itself writes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wbagent.checks.host.firewall import Rules, judge

# What Docker 26 writes on a fresh host, in short.
DOCKERS = """\
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:DOCKER - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -o docker0 -j DOCKER
-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 8080 -j ACCEPT
-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
-A DOCKER-USER -j RETURN
COMMIT
"""


def verdicts(saved: str = "", nft: dict[str, Any] | None = None, managers: tuple[str, ...] = (), number: int = 8080,
             *, loopback: bool = False) -> list[tuple[str, str]]:  # fmt: skip
    found = judge(Rules({"iptables": saved} if saved else {}, nft or {}, managers), number, behind_loopback=loopback)
    return [(finding.verdict.value, finding.found) for finding in found]


def test_dockers_own_rules_block_nothing() -> None:
    [(verdict, _)] = verdicts(DOCKERS)
    assert verdict == "pass"


@pytest.mark.parametrize(
    ("rule", "blocks"),
    [
        ("-A DOCKER-USER -p tcp -m tcp --dport 8080 -j DROP", True),
        ("-A DOCKER-USER ! -s 10.0.0.5/32 -p tcp -m tcp --dport 8080 -j REJECT --reject-with tcp-reset", True),
        ("-A DOCKER-USER -p tcp -m multiport --dports 80,8000:8090 -j DROP", True),
        ("-A DOCKER-USER -p tcp -m conntrack --ctorigdstport 8080 -j DROP", True),
        ("-A DOCKER-USER -p tcp -m conntrack --ctorigdstport 9000 -j DROP", False),
        ("-A DOCKER-USER -j DROP", True),
        ("-A DOCKER-USER -i eth1 -j DROP", False),
        ("-A DOCKER-USER -m conntrack --ctstate INVALID -j DROP", False),
        ("-A INPUT -p tcp -m tcp --dport 80 -j DROP", False),
        ("-A INPUT -p udp -m udp --dport 8080 -j DROP", False),
        ("-A OUTPUT -p tcp -m tcp --dport 8080 -j DROP", False),
    ],
)
def test_rules_of_iptables(rule: str, blocks: bool) -> None:
    found = verdicts(DOCKERS.replace("COMMIT", f"{rule}\nCOMMIT"))
    assert [verdict for verdict, _ in found] == ["warn" if blocks else "pass"]
    assert not blocks or rule in found[0][1]


def test_the_containers_port_is_meant_too() -> None:
    rule = "-A DOCKER-USER -p tcp -m tcp --dport 8080 -j DROP"
    assert verdicts(DOCKERS + rule, number=80)[0][0] == "warn"


def test_a_forwarding_that_is_shut_before_docker_is_there() -> None:
    assert verdicts("*filter\n:FORWARD DROP [0:0]\nCOMMIT\n")[0] == (
        "warn",
        "what comes for the server is refused: iptables -P FORWARD DROP, and no rule excepts Docker",
    )


def test_the_rule_is_taken_out_by_its_own_words() -> None:
    line = "DOCKER-USER ! -s 10.0.0.5/32 -p tcp -m tcp --dport 8080 -j DROP"
    [found] = judge(Rules({"ip6tables": f"-A {line}\n"}, {}, ()), 8080, behind_loopback=False)
    assert found.remedy == f"ip6tables -D {line}"


def rule(*expressions: dict[str, Any], chain: str = "input") -> dict[str, Any]:
    return {"rule": {"family": "inet", "table": "filter", "chain": chain, "handle": 4, "expr": list(expressions)}}


def table(*rules: dict[str, Any], policy: str = "accept", hook: str = "input") -> dict[str, Any]:
    chain = {"family": "inet", "table": "filter", "name": hook, "hook": hook, "policy": policy}
    return {"nftables": [{"metainfo": {}}, {"chain": chain}, *rules]}


def dport(right: object, operator: str = "==", protocol: str = "tcp") -> dict[str, Any]:
    left = {"payload": {"protocol": protocol, "field": "dport"}}
    return {"match": {"op": operator, "left": left, "right": right}}


@pytest.mark.parametrize(
    ("ruleset", "verdict"),
    [
        (table(rule(dport(8080), {"drop": None})), "warn"),
        (table(rule(dport({"set": [80, {"range": [8000, 8090]}]}), {"reject": {"type": "tcp reset"}})), "warn"),
        (table(rule(dport(8081), {"drop": None})), "pass"),
        (table(rule(dport(8080), {"accept": None})), "pass"),
        (table(rule(dport(8080, protocol="udp"), {"drop": None})), "pass"),
        (table(policy="drop", hook="forward"), "warn"),
        (table(rule(dport(8080), {"accept": None}, chain="forward"), policy="drop", hook="forward"), "pass"),
        (table(rule({"match": {"op": "==", "left": {"meta": {"key": "oifname"}}, "right": "docker0"}},
                    {"accept": None}, chain="forward"), policy="drop", hook="forward"), "pass"),
    ],
)  # fmt: skip
def test_rules_of_nftables(ruleset: dict[str, Any], verdict: str) -> None:
    assert [found for found, _ in verdicts(nft=ruleset)] == [verdict]


def test_sets_and_chains_as_nftables_1_1_lists_them() -> None:
    blocked = {"set": {"family": "inet", "table": "filter", "name": "blocked", "elem": [8080]}}
    own = {"chain": {"family": "inet", "table": "filter", "name": "input", "hook": "input", "policy": "accept"}}
    # That a bridge of Docker's may come in excepts nothing of what is forwarded.
    bridge = rule({"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "docker0"}}, {"accept": None})
    origin = {"match": {"op": "==", "left": {"ct": {"key": "proto-dst", "dir": "original"}}, "right": 8080}}
    ruleset = table(blocked, own, rule(dport("@blocked"), {"drop": None}), bridge, policy="drop", hook="forward")
    found = list(judge(Rules({}, ruleset, ()), 8080, behind_loopback=False))
    assert [each.remedy for each in found] == [
        "nft delete rule inet filter input handle 4",
        "nft add rule inet filter forward ct original proto-dst 8080 accept",
    ]
    assert verdicts(nft=table(own, rule(origin, {"drop": None})))[0][0] == "warn"


_WORDS = (
    "-A",
    "FORWARD",
    "DOCKER-USER",
    "-j",
    "DROP",
    "--dport",
    "--dports",
    "8080",
    "80:",
    ":",
    "1:x",
    ",",
    "-p",
    "tcp",
)


@given(st.lists(st.sampled_from(_WORDS) | st.text(max_size=5), max_size=12), st.integers(1, 65535))
def test_no_rule_is_too_odd_to_be_read(words: list[str], number: int) -> None:
    assert verdicts(" ".join(["-A", "DOCKER-USER", *words]), number=number)


@given(st.integers(1, 65535), st.integers(1, 65535), st.integers(1, 65535))
def test_a_span_of_ports_holds_what_is_between(first: int, last: int, number: int) -> None:
    found = verdicts(f"-A INPUT -p tcp -m multiport --dports 7,{first}:{last} -j DROP", number=number)
    # The container's own port is meant too: what is redirected to it has that one.
    within = any(first <= each <= last or each == 7 for each in (number, 8080))
    assert found[0][0] == ("warn" if within else "pass")


def test_ufw_does_not_see_a_published_port() -> None:
    [(verdict, said)] = verdicts(DOCKERS, managers=("ufw",))
    assert (verdict, "goes past it" in said) == ("note", True)


def test_loopback_and_nothing_to_read_with() -> None:
    assert verdicts(DOCKERS + "-A INPUT -p tcp --dport 8080 -j DROP", loopback=True)[0][0] == "pass"
    assert verdicts()[0][0] == "note"
