"""One HTTP probe of the server: GET a path, and say what came back."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

LIVENESS: Final = "/healthz"
READINESS: Final = "/ready"
_LONGEST_BODY: Final = 2048


@dataclass(frozen=True, slots=True)
class Answer:
    """What a probe saw. Without an HTTP answer `status` is 0 and `text` says why; `seconds` is how long it took.

    `detour` says why the first address gave no answer, when another one had to be asked.
    """

    path: str
    ok: bool
    status: int
    text: str
    seconds: float
    detour: str = ""

    def sentence(self) -> str:
        """For people, e.g. `/healthz: 503 draining` or `/healthz: no answer in 5 s`."""
        return f"{self.path}: {self.status or ''} {self.text}".replace("  ", " ").strip()[:200]


def probe(addresses: Sequence[tuple[str, int]], path: str, timeout: float) -> Answer:
    """GET `path` from the first address that takes a connection; `timeout` in seconds covers each address.

    Several addresses, since docker-proxy dies with dockerd even under live-restore: then the published port is dead
    while the container serves well at its own address. One that takes the connection and does not answer is not asked
    elsewhere: that would make each failure of a hanging server take twice as long.
    """
    answer = Answer(path, ok=False, status=0, text="the container has no address yet", seconds=0.0)
    detour, begun = "", time.monotonic()
    for host, port in addresses:
        answer, connected = _get(host, port, path, timeout)
        answer = replace(answer, detour=detour if answer.status else "", seconds=time.monotonic() - begun)
        if connected:
            break
        detour = detour or answer.text
    return answer


def _get(host: str, port: int, path: str, timeout: float) -> tuple[Answer, bool]:
    """The answer, and whether somebody may have heard the question."""
    import http.client  # noqa: PLC0415 - 15 ms: time enough for that while the container starts

    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    heard = False
    try:
        connection.connect()
        connection.request("GET", path, headers={"User-Agent": "wbagent"})
        heard = True
        response = connection.getresponse()
        status, text = response.status, response.read(_LONGEST_BODY).decode(errors="replace").strip()
    except TimeoutError:
        status, text = 0, f"no answer in {timeout:g} s"
    except ConnectionRefusedError:
        status, text, heard = 0, f"connection refused at {host}:{port}", False
    except (OSError, http.client.HTTPException) as error:
        # docker-proxy takes every connection, and closes it when nothing listens behind it.
        status, text, heard = 0, f"{type(error).__name__} at {host}:{port}: {error}", False
    finally:
        connection.close()
    return Answer(path, 200 <= status < 300, status, text, 0.0), heard
