"""Dead man's pings: a service elsewhere tells people when they stop, whatever has happened to this host.

The addresses and their endings are those of Healthchecks (https://healthchecks.io/docs/http_api/): the address itself
for success, /start, /fail and /log; what is sent along is shown there.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from pydantic import SecretStr

from wbagent.config.model import AlertSettings
from wbagent.systemd import journal

# So much is waited for one ping; none is sent again: the next one comes, and that none comes is what tells.
_LIMIT_S: Final = 10.0
# Healthchecks keeps the first 100 kB of what is sent along.
_LONGEST_BODY: Final = 10_000


class Ping(StrEnum):
    """What is told, as the ending of the address."""

    SUCCESS = ""
    START = "/start"
    FAIL = "/fail"
    LOG = "/log"


def label(url: SecretStr) -> str:
    """The address without what makes it work."""
    parts = urlsplit(url.get_secret_value())
    return f"{parts.scheme}://{parts.hostname}/…"


def ping(url: SecretStr, what: Ping, body: str = "") -> str:
    """Send one ping; "" when it was taken, else why not. Blocks for ten seconds at most a step of the connection."""
    from http.client import HTTPException, InvalidURL  # noqa: PLC0415 - with urllib 1.8 MB, only where pings are asked for
    from urllib.error import HTTPError, URLError  # noqa: PLC0415 - as above
    from urllib.request import Request, urlopen  # noqa: PLC0415 - as above

    address = url.get_secret_value().rstrip("/") + what.value
    data = body.encode(errors="replace")[:_LONGEST_BODY]
    request = Request(address, data=data, method="POST", headers={"User-Agent": "wbagent"})  # noqa: S310 - http(s) only, see AlertSettings
    try:
        with urlopen(request, timeout=_LIMIT_S):  # noqa: S310 - as above
            return ""
    except HTTPError as error:
        return f"{label(url)} answered {error.code} {error.reason}"
    except URLError as error:
        return f"{label(url)} cannot be reached: {error.reason}"
    except (ValueError, InvalidURL):
        # In Python's words on it the whole path is told.
        return f"{label(url)} cannot be reached: its address holds a character or a name that no address has"
    except (OSError, HTTPException) as error:
        return f"{label(url)} cannot be reached: {error or type(error).__name__}"


def tell_backup(settings: AlertSettings, what: Ping, body: str = "") -> None:
    """Send a ping about backups where one is asked for; that it is not taken spoils no backup."""
    if settings.ping_backup is not None and (problem := ping(settings.ping_backup, what, body)):
        journal.send(f"the ping about backups was not taken: {problem}", level="warning")
