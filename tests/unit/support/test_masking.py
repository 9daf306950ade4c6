"""No secret is left in a text, however it was written; and a text without secrets stays as it is."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wbagent.support.known_secrets import Known, of_broken, of_environment, of_file, of_value
from wbagent.support.masking import Masking

AWKWARD = 'p+a/s:s@w#o%r?d&=1"\\ é<😀'
WRITTEN: Mapping[str, Callable[[str], str]] = {
    "as it is": str,
    "URL": lambda secret: quote(secret, safe=""),
    "URL in small letters": lambda secret: quote(secret, safe="").lower() if secret.islower() else quote(secret),
    "URL in a URL": lambda secret: quote(quote(secret, safe=""), safe=""),
    "form": quote_plus,
    "JSON": json.dumps,
    "JSON in UTF-8": lambda secret: json.dumps(secret, ensure_ascii=False),
    "JSON in JSON": lambda secret: json.dumps(json.dumps({"x": secret})),
    "HTML": html.escape,
    "base64": lambda secret: base64.b64encode(secret.encode()).decode(),
    "base64 with a user": lambda secret: base64.b64encode(f"user:{secret}".encode()).decode(),
    "base64 in a middle": lambda secret: base64.b64encode(f"ab{secret}tail".encode()).decode(),
    "base64 for URLs": lambda secret: base64.urlsafe_b64encode(f"a{secret}tail".encode()).decode(),
    "hexadecimal": lambda secret: secret.encode().hex(),
    "C": lambda secret: (
        "".join(each if each.isalnum() else f"\\x{ord(each):02x}" for each in secret) if secret.isascii() else secret
    ),
}


@pytest.mark.parametrize("way", WRITTEN)
@pytest.mark.parametrize("secret", [AWKWARD, "secret-Xq7Lp2Vw9Za", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"])
def test_a_secret_goes_in_every_writing(secret: str, way: str) -> None:
    written = WRITTEN[way](secret)
    text = Masking([secret]).mask(f"before {written} after, and again: {written}.")
    assert "***" in text
    assert text.startswith("before ")
    assert "after, and again" in text
    for other in WRITTEN.values():
        assert other(secret) not in text


@given(
    st.text(st.characters(codec="utf-8", exclude_characters="*"), min_size=8, max_size=40),
    st.sampled_from(sorted(WRITTEN)),
    st.sampled_from(["as it is", "JSON", "JSON in UTF-8", "URL"]),
)
def test_whatever_the_secret_is(secret: str, way: str, around: str) -> None:
    """Also a writing within another one."""
    written = WRITTEN[around](WRITTEN[way](secret))
    text = Masking([secret]).mask(f"[{written}]")
    assert written not in text
    assert secret not in text


@given(st.text(st.sampled_from('abcXYZ /+:@%"\\'), min_size=20, max_size=60), st.integers(12, 19))
def test_one_that_was_cut_off_goes_too(secret: str, length: int) -> None:
    masking = Masking([secret])
    assert secret[:length] not in masking.mask(f"x{secret[:length]}\n")
    assert secret[-length:] not in masking.mask(f"\n{secret[-length:]}")


UNKNOWN = "Zq81Lm-unknown"


@pytest.mark.parametrize(
    "text",
    [
        "AKIAIOSFODNN7EXAMPLE",
        f"mysql://wandb_local:{UNKNOWN}@db1:3306/wandb_local?tls=true",
        f"redis://:{UNKNOWN}@r:6379",
        f"mysql://u:{UNKNOWN}/@a@db1/x",
        f"panic: dial wandb_local:{UNKNOWN}@tcp(db1:3306)/wandb_local",
        f"LICENSE={UNKNOWN}",
        f'"LICENSE": "{UNKNOWN}"',
        f'{{"log": "{{\\"secretKey\\":\\"{UNKNOWN}\\"}}"}}',
        f"Authorization: Basic {UNKNOWN}",
        f"Authorization: AWS4-HMAC-SHA256 Credential={UNKNOWN}/x, SignedHeaders=host",
        f"https://s3/bucket/key?X-Amz-Credential={UNKNOWN}&X-Amz-Signature={UNKNOWN}",
        f"CREATE USER 'u'@'%' IDENTIFIED BY '{UNKNOWN}'",
        f"IDENTIFIED WITH caching_sha2_password BY '{UNKNOWN}'",
        f"slack://{UNKNOWN}/B/C",
        f"https://hooks.slack.com/services/T/B/{UNKNOWN}",
        f"OIDC_SECRET={UNKNOWN}",
        f"password: {UNKNOWN}",
        f"-----BEGIN RSA PRIVATE KEY-----\n{UNKNOWN}\n-----END RSA PRIVATE KEY-----",
        f"AGE-SECRET-KEY-{UNKNOWN}",
        f"eyJhbGciOiJSUzI1NiJ9.eyJ{UNKNOWN}.abc",
    ],
)
def test_what_looks_like_a_secret_goes(text: str) -> None:
    found = Masking(()).mask(f"before {text}")
    assert "***" in found
    assert found.startswith("before ")
    assert "AKIAIOSFODNN7EXAMPLE" not in found
    assert UNKNOWN not in found


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-23T14:05:00 web1 GET http://10.0.0.1:8080/ready?x=a@b.example 200",
        "s3://minio.example.com:9000/wandb-files?region=us-east-1&tls=true",
        "mysql://wandb_local:***@db1/wandb_local",
        '{"level":"info","message":"serving","port":8080}',
        "image wandb/local:0.83.0, sha256:" + "0123456789abcdef" * 4,
        "the bucket refuses the access key (InvalidAccessKeyId): check it",
        "unit wbagent-backup.service: Failed with result 'exit-code'.",
        "told: slack://…, mailto://***",
    ],
)
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert Masking(["secret-Xq7Lp2Vw9Za"]).mask(text) == text


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "piece", ["a-", "token-", "key.", "a=", "key=x", "a://b:", "eyJ-.", "a.b:", "A", "%25", "\\\\", "password \t"]
)
def test_a_long_line_takes_no_time_of_its_square(piece: str) -> None:
    Masking(["secret-Xq7Lp2Vw9Za", "aaaaaaaaaaaaaaaaaaaab", "\\\\\\\\\\\\x", "x7!"], (), ["a"]).mask(
        piece * (300_000 // len(piece))
    )


def test_parts_of_addresses() -> None:
    known = of_value("s3://AKEY12:se%2Fcret@minio:9000/wandb-files?region=us-east-1&tls=true")
    assert known.secrets == {"AKEY12", "se%2Fcret", "se/cret"}
    assert of_value("mysql://wandb_local:p%40ss@db1/wandb_local?tls=true").secrets == {"p%40ss", "p@ss"}
    assert of_value("redis://:word@r:6379").secrets == {"word"}
    mail = of_value("mailto://wbagent:geheim@mail.example.com?to=ops@example.com&format=text").secrets
    assert {"geheim", "ops@example.com"} <= mail
    assert not mail & {"wbagent", "text", "mail.example.com"}
    assert {"T1JJ3T3L2", "A1BRTD4JD", "tokenabc"} <= of_value("slack://T1JJ3T3L2/A1BRTD4JD/tokenabc").secrets
    assert "5c6a-uuid" in of_value("https://hc.example.com/ping/5c6a-uuid").secrets


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("GORILLA_THING=x7! OTHER=1", "GORILLA_THING=*** OTHER=1"),
        ('{"GORILLA_THING": "x7!"}', '{"GORILLA_THING": "***"}'),
        ("GORILLA_THING=x7%21", "GORILLA_THING=***"),
        ('{\\"GORILLA_THING\\": \\"x7!\\"}', '{\\"GORILLA_THING\\": \\"***\\"}'),
        ("LDAP_PASS: ab1", "LDAP_PASS: ***"),
        ("ldap.pass = 'ab1'", "ldap.pass = '***'"),
        ("SIGN_KEY=k", "SIGN_KEY=***"),
        ("dial redis :q@r:6379", "dial redis :***@r:6379"),
        ("dial wandb_local:p1@tcp(db1:3306)", "dial wandb_local:***@tcp(db1:3306)"),
        ("mysql://wandb_local:p1@db1/wandb_local?tls=true", "mysql://wandb_local:***@db1/wandb_local?tls=true"),
    ],
)
def test_a_short_secret_goes_where_it_stands_as_one(text: str, hidden: str) -> None:
    assert short_ones().mask(text) == hidden


@pytest.mark.parametrize(
    "text",
    [
        "GORILLA_THING=x7!longer SIGN_KEY=keyring LDAP_PASS=ab12",
        '{"SIGN_KEY": 7, "key": null, "passed": 12, "k": "k"}',
        "q quit; db1 is up, p1 of 3, ab1: k=v, A=no B=no",
        "http://k:8080/q@r",
    ],
)
def test_the_same_characters_elsewhere_stay(text: str) -> None:
    assert short_ones().mask(text) == text


def short_ones() -> Masking:
    known = of_environment({"LDAP_PASS": "ab1", "GORILLA_THING": "x7!", "SIGN_KEY": "k", "MAX_KEYS": "7", "A": "no"})
    assert known.names == {"LDAP_PASS", "GORILLA_THING", "SIGN_KEY", "MAX_KEYS"}
    known |= of_value("mysql://wandb_local:p1@db1/wandb_local") | of_value("redis://:q@r:6379")
    # Without the whole addresses, which are hidden as such.
    return Masking(known.secrets, (), known.names)


def test_words_in_the_environment_are_no_secrets() -> None:
    assert of_environment({"LDAP_PASSWORD": "hunter"}).secrets == {"hunter"}
    words = {"A": "true", "B": "720", "C": "pkce", "D": "https://login.example.com", "E": "postgres://u:geheim@h/d"}
    known = of_environment(words | {"F": "x7-Client"})
    assert known.values == {"https://login.example.com", "postgres://u:geheim@h/d"}
    assert known.secrets >= {"geheim", "x7-Client"}
    assert not known.secrets & {"true", "720", "pkce"}


def test_a_configuration_that_is_no_toml_still_has_secrets(tmp_path: Path) -> None:
    text = (
        '[server]\nmysql = "mysql://u:geheim12@db1/x"\nlicense = "licence-1"\nX = "with \\"quotes\\""\nhost = = "x"\n'
    )
    path = tmp_path / "wbagent.toml"
    path.write_text(text)
    known = of_file(path)
    assert known == of_broken(text)
    assert "geheim12" in known.secrets
    assert {"licence-1", 'with "quotes"'} <= known.secrets


def test_a_file_that_a_key_names_is_read(tmp_path: Path) -> None:
    licence = tmp_path / "licence"
    licence.write_text("licence-Xq7Lp2\n")
    path = tmp_path / "wbagent.toml"
    path.write_text(f'[server]\nlicense_file = "{licence}"\nbucket = 7\n[server.env]\nOIDC_SECRET = "oidc-Rw4"\n')
    known = of_file(path)
    assert known == Known(frozenset({"licence-Xq7Lp2", "oidc-Rw4"}), frozenset())
