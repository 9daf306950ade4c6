"""Where the agent listens for Prometheus: an address of this host and a port, or a Unix socket."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

_ADDRESS: Final = re.compile(r"(?:\[(?P<six>[0-9a-fA-F:.]+)\]|(?P<four>[0-9.]+)):(?P<port>\d{1,5})")
_EXPECTED: Final = (
    'expected an address and a port such as "127.0.0.1:9797" or "[::1]:9797", or "unix:/run/wbagent-metrics/NAME"'
)
# sun_path of unix(7), with its end.
_LONGEST_PATH: Final = 107
# The agent has no right to the ports below.
_LOWEST_PORT: Final = 1024


@dataclass(frozen=True, slots=True)
class Listen:
    """`host` and `port`, or `path`."""

    host: str = ""
    port: int = 0
    path: Path | None = None

    @classmethod
    def parse(cls, text: Any) -> Self:
        """Read it from text; raises ValueError with what was expected."""
        if not isinstance(text, str):
            raise ValueError(_EXPECTED)
        if text.startswith("unix:"):
            path = Path(text.removeprefix("unix:"))
            if not path.is_absolute() or len(bytes(path)) > _LONGEST_PATH:
                raise ValueError(f"{_EXPECTED}; a path is absolute and of at most {_LONGEST_PATH} bytes")
            return cls(path=path)
        found = _ADDRESS.fullmatch(text)
        if found is None:
            raise ValueError(_EXPECTED)
        try:
            host = ipaddress.ip_address(found["six"] or found["four"])
        except ValueError:
            raise ValueError(_EXPECTED) from None
        port = int(found["port"])
        if not _LOWEST_PORT <= port <= 65535:
            raise ValueError(f"expected a port from {_LOWEST_PORT} to 65535: the agent may not take a lower one")
        return cls(str(host), port)

    @property
    def stays_here(self) -> bool:
        """Whether only this host can connect."""
        return self.path is not None or ipaddress.ip_address(self.host).is_loopback

    def __str__(self) -> str:
        if self.path is not None:
            return f"unix:{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            lambda value: value if isinstance(value, cls) else cls.parse(value),
            serialization=core_schema.to_string_ser_schema(),
        )
