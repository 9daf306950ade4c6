"""What the checks of the area "proxy" have seen, before it is judged."""

from __future__ import annotations

from dataclasses import dataclass

from wbagent.checks.public import Answer, Upload


@dataclass(frozen=True, slots=True)
class Way:
    """How the load balancer is looked at. `upstream`: the server, as the load balancer can reach it.

    `stopped`: the server is, and wbagent answers in its place. `blind`: it runs, and why nobody sees what reaches it.
    Neither: it runs, and its requests are seen on the wire.
    """

    upstream: str
    stopped: bool = False
    blind: str = ""


@dataclass(frozen=True, slots=True)
class Path:
    """A page asked for at the public address. `arrived`: at this host, None where that cannot be seen.

    `same`: the server itself gives the same answer.
    """

    name: str
    answer: Answer
    arrived: bool | None
    same: bool


@dataclass(frozen=True, slots=True)
class Big:
    """A large request through the load balancer, and the same one without it where the first one went badly."""

    through: Upload
    direct: Upload | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Wait:
    """A silence of `lasted` seconds, and how it was ended by the load balancer ("" where it was not)."""

    lasted: float
    gave_up: str = ""


@dataclass(frozen=True, slots=True)
class Redirect:
    """What http:// answers, or why there is no answer."""

    answer: Answer | None
    why: str = ""
