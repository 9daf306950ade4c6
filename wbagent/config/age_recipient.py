"""Public keys of age(1), checked before they are used: a typing error must not show when a backup is needed."""

from __future__ import annotations

import base64
import re
from typing import Any, Final

_ALPHABET: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR: Final = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_HUMAN_PART: Final = "age"
# 32 bytes as groups of 5 bits, and 6 groups of checksum.
_LENGTH: Final = 52 + 6
_SSH: Final = re.compile(r"(ssh-ed25519|ssh-rsa) ([A-Za-z0-9+/]+={0,2})(?: .*)?")
_SSH_PARTS: Final = {"ssh-ed25519": 2, "ssh-rsa": 3}
_EXPECTED: Final = 'expected public keys of age such as "age1…" (age-keygen prints them), or of ssh ("ssh-ed25519 …")'


def recipients(value: Any) -> Any:
    """The list of keys that a configuration gives, checked; ValueError never repeats what may be a secret."""
    keys = [value] if isinstance(value, str) else value
    if not isinstance(keys, list | tuple) or not all(isinstance(key, str) for key in keys):
        raise ValueError(_EXPECTED)
    return tuple(recipient(key.strip()) for key in keys)


def recipient(key: str) -> str:
    """One key as it was given; raises ValueError for what age would not take, or nobody could decrypt."""
    if "SECRET" in key.upper() or "PRIVATE" in key.upper():
        raise ValueError(
            "this is a secret key: give its public key (age-keygen -y), and keep the secret one away from this host"
        )
    if key.startswith("ssh-"):
        return _ssh(key)
    if not key.startswith(f"{_HUMAN_PART}1"):
        raise ValueError(_EXPECTED)
    if len(key) != len(_HUMAN_PART) + 1 + _LENGTH or not is_bech32(key):
        raise ValueError(f"{key[:8]}… is not a whole public key: its checksum is wrong")
    return key


def is_bech32(text: str) -> bool:
    """Whether the checksum of BIP 173 is right; `text` in lower case, with a human-readable part before its last 1."""
    human, _, data = text.rpartition("1")
    if not human or any(character not in _ALPHABET for character in data):
        return False
    values = [ord(character) >> 5 for character in human] + [0] + [ord(character) & 31 for character in human]
    checksum = 1
    for value in values + [_ALPHABET.index(character) for character in data]:
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATOR):
            checksum ^= generator if top >> bit & 1 else 0
    return checksum == 1


def _ssh(key: str) -> str:
    """The kind and the key proper: a comment behind it says who it belongs to, which the store need not know."""
    found = _SSH.fullmatch(key)
    try:
        inner = base64.b64decode(found[2], validate=True) if found else b""
    except ValueError:
        inner = b""
    parts = _ssh_parts(inner)
    if not found or parts[:1] != [found[1].encode()] or len(parts) != _SSH_PARTS[found[1]]:
        raise ValueError("a key that begins with ssh- is not a whole public key of the kinds ssh-ed25519 and ssh-rsa")
    return f"{found[1]} {found[2]}"


def _ssh_parts(data: bytes) -> list[bytes]:
    """The strings, each with its length before it, of RFC 4253; none when something is cut off or left over."""
    parts = []
    while data:
        size = int.from_bytes(data[:4])
        if len(data) < 4 + size:
            return []
        parts.append(data[4 : 4 + size])
        data = data[4 + size :]
    return parts
