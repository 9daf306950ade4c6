"""Public keys that backups are encrypted to: a wrong one is refused, a secret one is not repeated."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wbagent.config.age_recipient import is_bech32, recipient, recipients

# From the documentation of age.
KEY = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
SSH = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJnlJzwuvhlkUlX1J0CAMpNJvf5rfGIvJRQnTUvSQW5M"


def test_right_ones() -> None:
    assert recipients(KEY) == (KEY,)
    assert recipients([KEY, f" {SSH} ada@example.com"]) == (KEY, SSH)


@given(st.integers(4, len(KEY) - 1), st.sampled_from("qpzry9x8gf2tvdw0s3jn54khce6mua7l"))
def test_one_wrong_character_is_found(position: int, character: str) -> None:
    text = KEY[:position] + character + KEY[position + 1 :]
    assert is_bech32(text) is (text == KEY)


@pytest.mark.parametrize(
    "key",
    [
        KEY[:-1],
        KEY.upper(),
        KEY + "q",
        "age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t",
        "",
        "1",
    ],
)
def test_no_key(key: str) -> None:
    with pytest.raises(ValueError, match="key"):
        recipient(key)


@pytest.mark.parametrize("key", ["ssh-ed25519", "ssh-rsa AAAA", SSH[:60], "ssh-dss AAAAB3NzaC1kc3M="])
def test_no_ssh_key(key: str) -> None:
    with pytest.raises(ValueError, match="ssh-"):
        recipient(key)


@pytest.mark.parametrize("secret", ["AGE-SECRET-KEY-1QQPQYQSZQGPQYQSZQGPQYQ", "-----BEGIN OPENSSH PRIVATE KEY-----"])
def test_secret_key_is_refused_and_not_repeated(secret: str) -> None:
    with pytest.raises(ValueError, match="secret key") as caught:
        recipient(secret)
    assert secret not in str(caught.value)
