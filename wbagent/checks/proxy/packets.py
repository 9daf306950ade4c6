"""Which packets are of interest, decided in the kernel: on a busy host no program could read all that passes."""

from __future__ import annotations

import ctypes
import ipaddress
import socket
import struct
from typing import Final

_TCP: Final = 6
_GET: Final = int.from_bytes(b"GET ", "big")
_ATTACH: Final = 26  # SO_ATTACH_FILTER of asm-generic/socket.h, which Python has no name for

# Instructions of linux/bpf_common.h. X is where TCP's header begins, once that is known.
_LOAD_8, _LOAD_8_X, _LOAD_16_X, _LOAD_32_X = 0x30, 0x50, 0x48, 0x40
_X_IPV4_LENGTH, _X_IS, _X_IS_A, _ADD_X = 0xB1, 0x01, 0x07, 0x0C
_AND, _SHIFT_RIGHT, _GO, _IF_EQUAL, _RETURN = 0x54, 0x74, 0x05, 0x15, 0x06
_NO: Final = 22


def _if_equal(at: int, value: int, then: int, otherwise: int) -> bytes:
    # Jumps are counted from the next instruction.
    return struct.pack("HBBI", _IF_EQUAL, then - at - 1, otherwise - at - 1, value)


def _do(code: int, value: int = 0) -> bytes:
    return struct.pack("HBBI", code, 0, 0, value)


def program(first: int, second: int) -> bytes:
    """Lets TCP to either port pass whose bytes begin with "GET ", as the checks' requests do; over IP, 4 and 6."""
    return b"".join(
        (
            _do(_LOAD_8, 0),
            _do(_AND, 0xF0),
            _if_equal(2, 0x40, then=3, otherwise=7),
            _do(_LOAD_8, 9),
            _if_equal(4, _TCP, then=5, otherwise=_NO),
            _do(_X_IPV4_LENGTH, 0),
            _do(_GO, 11 - 6 - 1),
            _if_equal(7, 0x60, then=8, otherwise=_NO),
            _do(_LOAD_8, 6),
            _if_equal(9, _TCP, then=10, otherwise=_NO),
            _do(_X_IS, 40),
            _do(_LOAD_16_X, 2),
            _if_equal(12, first, then=14, otherwise=13),
            _if_equal(13, second, then=14, otherwise=_NO),
            # The length of TCP's header, in words of four bytes, is the upper half of its byte 12.
            _do(_LOAD_8_X, 12),
            _do(_AND, 0xF0),
            _do(_SHIFT_RIGHT, 2),
            _do(_ADD_X),
            _do(_X_IS_A),
            _do(_LOAD_32_X, 0),
            _if_equal(20, _GET, then=21, otherwise=_NO),
            _do(_RETURN, 0xFFFFFFFF),
            _do(_RETURN, 0),
        )
    )


def attach(reader: socket.socket, first: int, second: int) -> None:
    """Let the kernel hand over nothing else from now on."""
    instructions = ctypes.create_string_buffer(program(first, second))
    count = (len(instructions) - 1) // 8
    reader.setsockopt(socket.SOL_SOCKET, _ATTACH, struct.pack("HP", count, ctypes.addressof(instructions)))


def payload_of(packet: bytes) -> tuple[str, tuple[str, int], bytes] | None:
    """Who sends, to which address and port, and the bytes of one IP packet with TCP in it; None for any other."""
    try:
        if packet[0] >> 4 == 4:
            begin, protocol, ends = (packet[0] & 15) * 4, packet[9], (packet[12:16], packet[16:20])
        elif packet[0] >> 4 == 6:
            begin, protocol, ends = 40, packet[6], (packet[8:24], packet[24:40])
        else:
            return None
        if protocol != _TCP:
            return None
        (port,) = struct.unpack_from("!H", packet, begin + 2)
        offset = (packet[begin + 12] >> 4) * 4
        source, goal = (str(ipaddress.ip_address(end)) for end in ends)
    except (IndexError, struct.error, ValueError):
        return None
    return source, (goal, port), packet[begin + offset :]
