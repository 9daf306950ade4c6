"""The head of a request as it reached the server, whoever saw it there."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

# In User-Agent, which load balancers pass on: it tells a check's own requests from all others.
_MARK: Final = "wbagent-check/"


@dataclass(frozen=True, slots=True)
class Head:
    """`fields` in their order, names in lower case; `peer` is who sent it to the server."""

    line: str
    fields: tuple[tuple[str, str], ...]
    peer: str = ""

    def get(self, name: str) -> str:
        """The field's values, apart by commas as HTTP joins them; "" when it is not there."""
        return ", ".join(value for field, value in self.fields if field == name.lower())

    @property
    def token(self) -> str:
        """Which of the checks' requests it is, "" for anybody else's."""
        mark, _, token = self.get("user-agent").partition(_MARK)
        return "" if mark else token


class Witness(ABC):
    """Sees requests where they reach the server."""

    def __init__(self) -> None:
        self._heads: dict[str, Head] = {}
        self._news = threading.Condition()

    def note(self, head: Head) -> None:
        """A request has come; of several with a token the first counts."""
        with self._news:
            self._heads.setdefault(head.token, head)
            self._news.notify_all()

    def seen(self, token: str, timeout: float) -> Head | None:
        """The request with this token, waited for so long (seconds)."""
        with self._news:
            self._news.wait_for(lambda: token in self._heads, timeout)
            return self._heads.get(token)

    @abstractmethod
    def close(self) -> None:
        """See no more; may be called twice."""


def new_token() -> str:
    """One that nobody else has."""
    return uuid4().hex


def marked(token: str) -> dict[str, str]:
    """The headers that let a witness know the request."""
    return {"User-Agent": f"{_MARK}{token}"}


def is_marked(data: bytes) -> bool:
    """Whether a check's request may be in there; quick, for it is asked of every packet."""
    return _MARK.encode() in data


def parse_head(data: bytes, peer: str = "") -> Head | None:
    """The head of an HTTP/1 request that begins `data`; None when it does not, or is not complete."""
    head, complete, _ = data.partition(b"\r\n\r\n")
    line, *lines = head.decode("latin-1").split("\r\n")
    words = line.split(" ")
    if not complete or len(words) != 3 or not words[0].isalpha() or not words[2].startswith("HTTP/1."):
        return None
    fields = (part.partition(":") for part in lines)
    return Head(line, tuple((name.strip().lower(), value.strip()) for name, _, value in fields), peer)
