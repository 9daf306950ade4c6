"""Firewall rules of this host that keep the load balancer from the server, as far as they can be told."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from wbagent.checks.check import Finding, Subject, note, passed, warn
from wbagent.checks.host.port import PORT, wanted

_LIMIT_S: Final = 5.0
# Family, table and name.
_Chain = tuple[str, str, str]
_SBIN: Final = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
# What goes to a published port is redirected to the container, and passes "forward"; the rest passes "input".
_HOOKS: Final = frozenset({"input", "forward", "prerouting"})
_REFUSES: Final = frozenset({"DROP", "REJECT"})
# Bridges and chains of Docker, by name.
_OF_DOCKER: Final = re.compile(r"\bdocker0\b|\bbr-|DOCKER")
_DPORT: Final = re.compile(r"(?:--dports?|--ctorigdstport) (\S+)")
# What makes a rule without a port one about some senders or connections only.
_EXCEPTS: Final = re.compile(r"-[sdoi] |--ctstate|-m set")
_SAVED: Final = re.compile(r"^-A (\S+) (.*)$")
_WHAT_IS_NOT_SEEN: Final = "what a cloud's security group or a router in between blocks cannot be seen from here"


@dataclass(frozen=True, slots=True)
class Rules:
    """What could be read: rules as iptables-save writes them, by program; nft's list as JSON; managers that run."""

    saved: Mapping[str, str]
    nft: Mapping[str, Any]
    managers: tuple[str, ...]


def firewall(subject: Subject) -> Iterable[Finding]:
    """Root alone may read rules."""
    bind, number = wanted(subject.settings)
    if os.geteuid():
        return [note("not looked at: only root may read firewall rules", remedy="sudo wbagent check host")]
    return judge(_read(), number, behind_loopback=bind.startswith("127.") or bind == "::1")


def _read() -> Rules:
    programs = [f"{family}{variant}" for family in ("iptables", "ip6tables") for variant in _variants()]
    saved = {program: said for program in programs if (said := _said(f"{program}-save"))}
    try:
        nft = json.loads(_said("nft", "--json", "list", "ruleset") or "{}")
    except ValueError:
        nft = {}
    managers = [name for name, shown, on in (
        ("ufw", _said("ufw", "status"), "Status: active"),
        ("firewalld", _said("firewall-cmd", "--state"), "running"),
    ) if on in shown and "not running" not in shown]  # fmt: skip
    return Rules(saved, nft, tuple(managers))


def _variants() -> Iterator[str]:
    """iptables' rules are nftables' mostly; those of the older kind are apart, and both may be in force."""
    yield ""
    if shutil.which("iptables-legacy-save", path=_SBIN) and Path("/proc/net/ip_tables_names").exists():
        yield "-legacy"


def _said(program: str, *arguments: str) -> str:
    """What it prints; "" where there is no such program, or it refuses."""
    path = shutil.which(program, path=_SBIN)
    if path is None:
        return ""
    try:
        done = subprocess.run(
            [path, *arguments], capture_output=True, text=True, errors="replace", timeout=_LIMIT_S, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout


def judge(rules: Rules, number: int, *, behind_loopback: bool) -> Iterator[Finding]:
    """Invariant: what is called blocked is so by a rule or policy that is shown; nothing is called open for certain."""
    if behind_loopback:
        yield passed("the port is published on loopback only: no firewall is on the way of a proxy on this host")
        return
    saved = [found for program, text in rules.saved.items() for found in _saved_rules(program, text, number)]
    blocking = dict([*saved, *_nft_rules(rules.nft, number), *_nft_policies(rules.nft, number)])
    for rule, remedy in blocking.items():
        yield warn(
            f"what comes for the server is refused: {rule}",
            needed=f"TCP port {number} open for the load balancer, whose address may be excepted before that",
            remedy=remedy,
        )
    if "ufw" in rules.managers and not blocking:
        yield note(
            f"ufw is on, but the published port {number} of a container goes past it: everybody reaches it",
            needed="the load balancer alone to reach the server",
            remedy='where the proxy is on this host: bind = "127.0.0.1"    # in [server] of /etc/wbagent.toml',
        )
    elif not blocking and not rules.saved and not rules.nft:
        yield note(f"no rules could be read: neither iptables nor nft is installed; {_WHAT_IS_NOT_SEEN}")
    elif not blocking:
        by = f" ({', '.join(rules.managers)} runs)" if rules.managers else ""
        yield passed(f"no rule is known to refuse port {number}{by}; {_WHAT_IS_NOT_SEEN}")


def _saved_rules(program: str, text: str, number: int) -> Iterator[tuple[str, str]]:
    """Those of iptables-save that refuse the port, and a policy of FORWARD that nothing of Docker's excepts.

    Each with the command that takes it out, as in all that follow.
    """
    for line in text.splitlines():
        found = _SAVED.match(line)
        if found is None or not _REFUSES & set(found[2].split()) or "-p udp" in found[2]:
            continue
        ports = _DPORT.search(found[2])
        the_port = ports and _includes(ports[1], number) and not found[1].startswith("OUTPUT")
        everything = found[1] == "DOCKER-USER" and not ports and not _EXCEPTS.search(found[2])
        if the_port or everything:
            yield f"{program} {line}", f"{program} -D{line.removeprefix('-A')}"
    if program.startswith("iptables") and re.search(r"^:FORWARD DROP", text, re.MULTILINE) and "DOCKER" not in text:
        yield (
            f"{program} -P FORWARD DROP, and no rule excepts Docker",
            "systemctl restart docker    # it adds its rules",
        )


def _chains(ruleset: Mapping[str, Any]) -> dict[_Chain, Mapping[str, Any]]:
    """Those of native tables: the tables of iptables are read by its own program."""
    found = [entry["chain"] for entry in ruleset.get("nftables") or () if "chain" in entry]
    return {(each["family"], each["table"], each["name"]): each for each in found if not each["name"].isupper()}


def _rules_of(ruleset: Mapping[str, Any]) -> Iterator[tuple[_Chain, Mapping[str, Any]]]:
    for entry in ruleset.get("nftables") or ():
        if rule := entry.get("rule"):
            yield (rule["family"], rule["table"], rule["chain"]), rule


def _nft_rules(ruleset: Mapping[str, Any], number: int) -> Iterator[tuple[str, str]]:
    chains = _chains(ruleset)
    for chain, rule in _rules_of(ruleset):
        if chain not in chains or chains[chain].get("hook", "input") not in _HOOKS:
            continue
        expressions = rule.get("expr") or ()
        verdict = next((word for each in expressions for word in ("drop", "reject") if word in each), "")
        if verdict and any(_matches_port(each, number, _sets(ruleset, chain)) for each in expressions):
            named = " ".join(chain)
            handle = f"handle {rule.get('handle')}"
            yield f"nft {named} {handle}: {number} {verdict}", f"nft delete rule {named} {handle}"


def _nft_policies(ruleset: Mapping[str, Any], number: int) -> Iterator[tuple[str, str]]:
    """Chains that forward nothing but what is excepted, and neither Docker's bridge nor the port is."""
    chains = _chains(ruleset)
    for (family, table, name), chain in chains.items():
        if chain.get("hook") != "forward" or chain.get("policy") != "drop":
            continue
        # Its own rules, and those of chains that it may jump to.
        within = [
            rule
            for of, rule in _rules_of(ruleset)
            if of[:2] == (family, table) and (of[2] == name or "hook" not in chains.get(of, {}))
        ]
        sets = _sets(ruleset, (family, table, name))
        excepted = any(_matches_port(each, number, sets) for rule in within for each in rule.get("expr") or ())
        if not excepted and not _OF_DOCKER.search(json.dumps(within)):
            named = f"{family} {table} {name}"
            remedy = f"nft add rule {named} ct original proto-dst {number} accept"
            yield f"nft {named}: policy drop, and no rule excepts Docker or the port", remedy


def _sets(ruleset: Mapping[str, Any], chain: _Chain) -> dict[str, Mapping[str, Any]]:
    """The named sets of a chain's table, as a rule refers to them."""
    found = [entry["set"] for entry in ruleset.get("nftables") or () if "set" in entry]
    of_the_table = (each for each in found if (each["family"], each["table"]) == chain[:2])
    return {f"@{each['name']}": {"set": each.get("elem") or ()} for each in of_the_table}


def _matches_port(expression: Mapping[str, Any], number: int, sets: Mapping[str, Any]) -> bool:
    """Whether it is "tcp dport", or the port before it was redirected, and holds the port."""
    match = expression.get("match")
    if not match or match.get("op") not in {"==", "in"}:
        return False
    left = json.dumps(match.get("left"))
    right = match.get("right")
    right = sets.get(right, right) if isinstance(right, str) else right
    return ("dport" in left or "proto-dst" in left) and "udp" not in left and _holds(right, number)


def _holds(right: Any, number: int) -> bool:
    if isinstance(right, Mapping):
        if "range" in right:
            return bool(right["range"][0] <= number <= right["range"][1])
        return any(_holds(each, number) for each in right.get("set") or ())
    return isinstance(right, int) and right in {number, PORT}


def _includes(ports: str, number: int) -> bool:
    """Whether "80,8000:8090" holds the port, as the host or as the container has it."""
    spans = [part.partition(":") for part in ports.split(",")]
    return any(
        int(first or 0) <= wanted_port <= int((last or "65535") if colon else first)
        for first, colon, last in spans
        for wanted_port in (number, PORT)
        if (first + last).isdigit()
    )
