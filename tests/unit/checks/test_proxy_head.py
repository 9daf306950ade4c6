"""Requests as they are read on the wire: only whole heads, only checks' own, whatever else passes by."""

from __future__ import annotations

import ipaddress
import struct

from hypothesis import given
from hypothesis import strategies as st

from wbagent.checks.proxy.head import is_marked, marked, new_token, parse_head
from wbagent.checks.proxy.packets import payload_of


def request(token: str) -> bytes:
    fields = {"Host": "wandb.example.com", **marked(token), "Connection": "Upgrade"}
    return "".join(("GET / HTTP/1.1\r\n", *(f"{name}: {value}\r\n" for name, value in fields.items()), "\r\n")).encode()


def packet(source: str, goal: str, port: int, payload: bytes) -> bytes:
    """An IP packet, 4 or 6, with options in the TCP header as Linux sends them."""
    ends = [ipaddress.ip_address(end).packed for end in (source, goal)]
    tcp = struct.pack("!HHIIBBHHH", 40000, port, 1, 1, 8 << 4, 0x18, 64, 0, 0) + bytes(12)
    if len(ends[0]) == 4:
        ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp) + len(payload), 0, 0, 64, 6, 0)
    else:
        ip = struct.pack("!IHBB", 6 << 28, len(tcp) + len(payload), 6, 64)
    return ip + b"".join(ends) + tcp + payload


def test_a_request_is_read_out_of_a_packet() -> None:
    token = new_token()
    for source, goal in (("10.0.0.7", "10.0.0.1"), ("fd00::7", "fd00::1")):
        data = packet(source, goal, 8080, request(token))
        assert is_marked(data)
        found = payload_of(data)
        assert found
        assert found[:2] == (source, (goal, 8080))
        head = parse_head(found[2], found[0])
        assert head
        assert (head.token, head.get("host"), head.get("Connection"), head.peer) == (
            token,
            "wandb.example.com",
            "Upgrade",
            source,
        )


def test_values_of_a_field_that_comes_twice_are_joined() -> None:
    head = parse_head(b"GET / HTTP/1.1\r\nX-Forwarded-For: 1.2.3.4\r\nx-forwarded-for: 5.6.7.8\r\n\r\n")
    assert head
    assert head.get("X-Forwarded-For") == "1.2.3.4, 5.6.7.8"
    assert head.token == ""


@given(st.binary(max_size=120))
def test_nothing_that_passes_by_does_harm(data: bytes) -> None:
    found = payload_of(data)
    assert found is None or isinstance(found[2], bytes)
    head = parse_head(data)
    assert head is None or b"\r\n\r\n" in data


@given(st.integers(0, len(request("t")) - 1))
def test_half_a_head_is_none(length: int) -> None:
    assert parse_head(request("t")[:length]) is None
