"""What is said of certificates and of TLS."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wbagent.checks.fronts import Need
from wbagent.checks.public import Public
from wbagent.checks.tls import verdict
from wbagent.checks.tls.look import Shown
from wbagent.config.monitor import CertificateSettings
from wbagent.monitor.outside import Doubt

PUBLIC = Public("https://wandb.example.com")
NOW, DAY = 1_800_000_000.0, 86400.0
GOOD = Shown(
    doubt=None,
    said="",
    privately=False,
    strictly="",
    count=2,
    own=False,
    names=("wandb.example.com",),
    issuer="R3",
    expires=NOW + 60 * DAY,
    fits=True,
    versions=("TLS 1.2", "TLS 1.3"),
    hsts="max-age=31536000",
)


def lines(need: Need) -> str:
    return f"<{need}>"


@pytest.mark.parametrize(
    ("doubt", "count", "privately", "said", "expected"),
    [
        (None, 2, False, "", "pass"),
        (Doubt.EXPIRED, 2, False, "", "pass"),
        (Doubt.SELF_SIGNED, 1, False, "self-signed", "fail"),
        # Trust that was given by hand does not make it one that W&B's clients take.
        (Doubt.SELF_SIGNED, 1, True, "self-signed", "fail"),
        (Doubt.CHAIN, 1, False, "incomplete", "fail"),
        (Doubt.CHAIN, 2, False, "no authority that this host trusts", "fail"),
        (Doubt.CHAIN, 2, True, "[monitor.certificate]", "note"),
        (Doubt.OTHER, 2, False, "refused", "fail"),
    ],
)
def test_authority(doubt: Doubt | None, count: int, privately: bool, said: str, expected: str) -> None:
    found = verdict.of_chain(PUBLIC, replace(GOOD, doubt=doubt, count=count, privately=privately), lines)
    assert found.verdict == expected
    assert said in found.found


def test_authority_that_only_some_take() -> None:
    strict = verdict.of_chain(PUBLIC, replace(GOOD, strictly="Missing Authority Key Identifier"), lines)
    assert (strict.verdict, "Missing Authority Key Identifier" in strict.found) == ("warn", True)
    trusted = verdict.of_chain(PUBLIC, replace(GOOD, own=True, count=1), lines)
    assert (trusted.verdict, "told to trust it" in trusted.found) == ("fail", True)


@pytest.mark.parametrize(
    ("days", "expected"), [(60, "pass"), (30.5, "pass"), (29, "warn"), (13, "warn"), (2.5, "fail"), (-1, "fail")]
)
def test_expiry_has_the_days_of_the_alerts(days: float, expected: str) -> None:
    assert verdict.of_expiry(replace(GOOD, expires=NOW + days * DAY), CertificateSettings(), NOW).verdict == expected


def test_expiry_that_is_not_this_certificates() -> None:
    limits = CertificateSettings()
    above = verdict.of_expiry(replace(GOOD, doubt=Doubt.EXPIRED), limits, NOW)
    assert (above.verdict, above.found) == ("fail", "the certificate of an authority above it has expired")
    assert verdict.of_expiry(replace(GOOD, doubt=Doubt.EARLY), limits, NOW).verdict == "fail"
    assert verdict.of_expiry(replace(GOOD, expires=None), limits, NOW).verdict == "note"


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        (("TLS 1.2", "TLS 1.3"), "pass"),
        (("TLS 1.2",), "pass"),
        (("TLS 1.1", "TLS 1.2"), "warn"),
        (("TLS 1.0", "TLS 1.1"), "fail"),
        ((), "fail"),
    ],
)
def test_versions(versions: tuple[str, ...], expected: str) -> None:
    assert verdict.of_versions(replace(GOOD, versions=versions), lines).verdict == expected


@pytest.mark.parametrize(
    ("hsts", "seconds"),
    [
        ("max-age=31536000", 31536000),
        ('includeSubDomains; MAX-AGE = "300"', 300),
        ("max-age=0", 0),
        ("x-max-age=5", 0),
        ("", 0),
    ],
)
def test_hsts(hsts: str, seconds: int) -> None:
    assert verdict.max_age(hsts) == seconds
    assert verdict.of_hsts(replace(GOOD, hsts=hsts), lines).verdict == ("pass" if seconds else "warn")


@pytest.mark.parametrize(
    ("host", "public"),
    [
        ("wandb.example.com", True),
        ("wandb.example.com.", True),
        ("10.99.0.11", False),
        ("fd00::1", False),
        ("wandb", False),
        ("wandb.corp", False),
        ("wandb.Local", False),
        ("wandb.home.arpa", False),
    ],
)
def test_only_for_a_public_name_a_public_authority_is_named(host: str, public: bool) -> None:
    remedy = verdict.certificate_for(host)
    assert ("certbot" in remedy, "your own authority" in remedy) == (public, True)
    assert f"-d {host}" in remedy or not public


def test_scheme_and_name() -> None:
    plain = verdict.of_scheme(Public("http://wandb.example.com"))
    assert (plain.verdict, 'host = "https://wandb.example.com"' in plain.remedy) == ("warn", True)
    # The server's own port does no TLS: it goes with the scheme.
    port = verdict.of_scheme(Public("http://10.99.0.11:8080"))
    assert 'host = "https://10.99.0.11"' in port.remedy
    assert verdict.of_name(PUBLIC, GOOD).verdict == "pass"
    other = verdict.of_name(PUBLIC, replace(GOOD, fits=False, names=("www.example.com",)))
    assert (other.verdict, "for www.example.com, not for wandb.example.com" in other.found) == ("fail", True)
