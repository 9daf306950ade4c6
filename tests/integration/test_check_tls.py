"""`wbagent check tls` before real nginx, HAProxy and Caddy, with certificates good and bad."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from tests.integration.front_case import before, findings, line_for, new_address, ready_server, verdicts
from tests.testbed.authority import Authority
from tests.testbed.fronts import KINDS
from wbagent.checks import tls
from wbagent.checks.check import Finding

# Python warns of the old versions of TLS, which are asked for here to see them refused.
pytestmark = pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")


@pytest.fixture(scope="module")
def upstream() -> str:
    """The stand-in's web server, in this process."""
    return f"127.0.0.1:{ready_server()}"


@pytest.fixture
def address() -> str:
    """One of this test alone."""
    return new_address()


@pytest.fixture
def trusting(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """The authority is one that this host trusts."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))


def check(url: str, authorities: Sequence[str] = ()) -> dict[str, Finding]:
    return findings(tls.checks, url, authorities=authorities)


GOOD = dict.fromkeys(("https", "authority", "name", "expiry", "versions", "HSTS"), "pass")


@pytest.mark.parametrize("kind", KINDS)
def test_all_is_well(kind: str, upstream: str, address: str, authority: Authority, trusting: None) -> None:
    with before(kind, upstream, address, authority.issue(address)) as url:
        found = check(url)
    assert verdicts(found) == GOOD
    assert "test intermediate" in found["authority"].found
    assert "in 89 days" in found["expiry"].found
    assert found["versions"].found == "TLS 1.2, TLS 1.3"


@pytest.mark.parametrize("kind", KINDS)
def test_self_signed_is_refused_with_the_reason(kind: str, upstream: str, address: str, authority: Authority) -> None:
    with before(kind, upstream, address, authority.self_signed(address)) as url:
        found = check(url)
    assert verdicts(found) == GOOD | {"authority": "fail", "expiry": "warn"}
    assert "self-signed, which W&B does not support" in found["authority"].found
    # No public authority signs for an address of one's own.
    assert "certbot" not in found["authority"].remedy
    assert "a public name in [server] host" in found["authority"].remedy


@pytest.mark.parametrize("kind", KINDS)
def test_expired(kind: str, upstream: str, address: str, authority: Authority, trusting: None) -> None:
    with before(kind, upstream, address, authority.expired(address)) as url:
        found = check(url)
    assert verdicts(found) == GOOD | {"expiry": "fail"}
    assert "it expired on 20" in found["expiry"].found


@pytest.mark.parametrize("kind", KINDS)
def test_a_certificate_for_another_name(
    kind: str, upstream: str, address: str, authority: Authority, trusting: None
) -> None:
    with before(kind, upstream, address, authority.issue("other.example.com")) as url:
        found = check(url)
    assert verdicts(found) == GOOD | {"name": "fail"}
    assert f"is for other.example.com, not for {address}" in found["name"].found


@pytest.mark.parametrize("kind", KINDS)
def test_an_incomplete_chain_has_the_line_of_this_load_balancer(
    kind: str, upstream: str, address: str, authority: Authority, trusting: None
) -> None:
    with before(kind, upstream, address, authority.issue(address, complete=False)) as url:
        found = check(url)
    assert verdicts(found) == GOOD | {"authority": "fail"}
    assert "incomplete" in found["authority"].found
    assert "test intermediate" in found["authority"].found
    assert line_for(kind, found["authority"].remedy)


def test_an_authority_that_this_host_does_not_know(upstream: str, address: str, authority: Authority) -> None:
    with before("nginx", upstream, address, authority.issue(address)) as url:
        unknown, own = check(url), check(url, authorities=[str(authority.certificate)])
    assert verdicts(unknown) == GOOD | {"authority": "fail"}
    assert "update-ca-certificates" in unknown["authority"].remedy
    assert verdicts(own) == GOOD | {"authority": "note"}
    assert "REQUESTS_CA_BUNDLE" in own["authority"].remedy


@pytest.mark.parametrize("kind", ["nginx", "haproxy"])
def test_old_versions_and_no_hsts(kind: str, upstream: str, address: str, authority: Authority, trusting: None) -> None:
    with before(kind, upstream, address, authority.issue(address), weak=True, hsts=False) as url:
        found = check(url)
    assert verdicts(found) == GOOD | {"versions": "warn", "HSTS": "warn"}
    assert found["versions"].found == "TLS 1.0 and TLS 1.1 accepted too"
    assert line_for(kind, found["versions"].remedy)
    assert line_for(kind, found["HSTS"].remedy)


def test_self_signed_and_trusted_here_is_refused_all_the_same(
    upstream: str, address: str, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued = authority.self_signed(address)
    monkeypatch.setenv("SSL_CERT_FILE", str(issued.chain))
    with before("nginx", upstream, address, issued) as url:
        found = check(url)
    assert found["authority"].verdict == "fail"
    assert "though this host has been told to trust it" in found["authority"].found


def test_what_only_newer_clients_refuse(upstream: str, address: str, authority: Authority, trusting: None) -> None:
    with before("nginx", upstream, address, authority.issue(address, careless=True)) as url:
        found = check(url)
    assert verdicts(found) == GOOD | {"authority": "warn"}
    assert "Missing Authority Key Identifier" in found["authority"].found


def test_soon_over(upstream: str, address: str, authority: Authority, trusting: None) -> None:
    now, day = datetime.now(UTC), timedelta(days=1)
    for days, verdict in ((20, "warn"), (10, "warn"), (2, "fail")):
        with before("nginx", upstream, address, authority.issue(address, now - day, now + days * day)) as url:
            assert check(url)["expiry"].verdict == verdict


def test_nobody_answers_is_told_once(address: str, authority: Authority) -> None:
    found = check(f"https://{address}")
    assert verdicts(found) == {"https": "fail"}
    assert "were not looked at" in found["https"].found


def test_plain_http_is_warned_of(address: str) -> None:
    found = check(f"http://{address}")
    assert verdicts(found) == {"https": "warn"}
    assert f'host = "https://{address}"' in found["https"].remedy


def test_no_tls_where_it_is_expected(address: str, upstream: str, authority: Authority) -> None:
    with before("nginx", upstream, address, None, port=443):
        found = check(f"https://{address}")
    assert verdicts(found) == {"https": "fail"}
