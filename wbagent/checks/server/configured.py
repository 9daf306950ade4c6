"""What the configuration of the server says, judged without looking at a server."""

from __future__ import annotations

import base64
import json
import re
import socket
import time
from datetime import UTC, datetime
from typing import Final

from wbagent.checks.check import Finding, Run, Subject, fail, note, passed, warn
from wbagent.config.dsn import S3URL
from wbagent.config.server import ServerSettings
from wbagent.quantities import format_duration
from wbagent.server.embedded import NOT_FOR_PRODUCTION
from wbagent.upgrade.release import NEVER, tag_of, version_of

# The newest release that was known when this was written, and the month in which it came out.
_NEWEST: Final = (0, 83, 0)
_CAME_OUT: Final = (2026, 7)
# One release a month, each supported for so many.
_SUPPORTED_MONTHS: Final = 12
_DAY_S: Final = 86400.0
_EVERYWHERE: Final = frozenset({"0.0.0.0", "::"})
_LOCAL_NAMES: Final = re.compile(r"https?://(localhost|127\.[\d.]+)(:\d+)?")


def image(settings: ServerSettings) -> Run:
    """Which release, as far as its name tells."""
    return lambda _: judge_image(settings.image, datetime.now(UTC))


def judge_image(name: str, now: datetime) -> Finding:
    """Without a network only the name is there: releases are monthly, so that a version tells its age."""
    version = version_of(name)
    if version is None:
        what = "a digest" if not tag_of(name) else f'the tag "{tag_of(name)}"'
        return note(f"{name} is pinned by {what}, which tells no release", remedy="docker image inspect " + name)
    release = ".".join(str(part) for part in version)
    if version in NEVER:
        return fail(
            f"{release} is one of the two releases that W&B took back",
            needed="any release but 0.78.0 and 0.78.1",
            remedy="wbagent server upgrade 0.79.0   # or newer",
        )
    if version[0] != _NEWEST[0]:
        return note(f"{name} is pinned; how old it is cannot be told", remedy="compare W&B's release notes")
    months = (now.year - _CAME_OUT[0]) * 12 + now.month - _CAME_OUT[1] + _NEWEST[1] - version[1]
    if months > _SUPPORTED_MONTHS:
        return warn(
            f"{name} is about {months} months old",
            needed=f"a release of the last {_SUPPORTED_MONTHS} months: W&B supports none that is older",
            remedy="wbagent server upgrade TAG   # see W&B's release notes for the newest",
        )
    age = f"about {months} months old" if months > 0 else "not older than a month"
    return passed(f"{name} is pinned, {age}, supported for 12 months")


def address(settings: ServerSettings) -> Run:
    """HOST."""
    return lambda _: judge_address(settings.host)


def judge_address(host: str) -> Finding:
    """Whether it is an address that other machines can open; that it should be https:// the area tls tells."""
    if _LOCAL_NAMES.fullmatch(host):
        return warn(
            f"HOST is {host}, which every machine takes for itself",
            needed="the address that users open",
            remedy='[server] host = "https://wandb.example.com"',
        )
    return passed(f"HOST is {host}")


def licence(settings: ServerSettings) -> Run:
    """LICENSE."""
    text = settings.license.get_secret_value() if settings.license else None
    return lambda _: judge_licence(text, time.time())


def judge_licence(text: str | None, now: float) -> Finding:
    """Whether there is one, whole, and not expired where it tells; nothing of it is shown."""
    if not text:
        return warn(
            "no licence is configured",
            needed="LICENSE, unless an administrator entered one on the server's settings page",
            remedy='[server] license_file = "/etc/wandb.license"  (0640 root:wbagent), then wbagent server diff',
        )
    if re.search(r"\s", text):
        return fail(
            "the licence holds white space: it was broken when it was copied",
            needed="one line",
            remedy="tr -d '[:space:]' < FILE > FILE.new && mv FILE.new FILE",
        )
    expires = _expires(text)
    if expires is None:
        return passed(f"a licence of {len(text)} characters is set; until when it is valid it does not tell here")
    left = expires - now
    until = f"{datetime.fromtimestamp(expires, UTC):%Y-%m-%d}"
    new = "ask W&B for a new one, put it into [server] license_file, then systemctl restart wandb-local"
    if left <= 0:
        return fail(f"the licence expired on {until}", needed="a valid one", remedy=new)
    if left < 30 * _DAY_S:
        return warn(f"the licence expires in {format_duration(left)}, on {until}", needed="a newer one", remedy=new)
    return passed(f"a licence is set, valid until {until}")


def _expires(licence_text: str) -> float | None:
    """When a licence that is a signed token (RFC 7519) says that it ends; its signature is not looked at."""
    parts = licence_text.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        expires = float(claims["exp"])
        datetime.fromtimestamp(expires, UTC)
    except (ValueError, KeyError, TypeError, OverflowError, OSError):
        return None
    return expires


def region(settings: ServerSettings) -> Run:
    """AWS_REGION."""
    bucket = settings.bucket if isinstance(settings.bucket, S3URL) else None
    named = bucket.region if bucket else None
    amazon = bucket is not None and bucket.host is None
    return lambda _: judge_region(settings.region, named, settings.aws_region, amazon=amazon)


def judge_region(own: str | None, bucket: str | None, used: str, *, amazon: bool) -> Finding:
    """Whether both places name one region; whether that is the bucket's the area bucket measures.

    W&B's guide writes us-east1 in one place and us-east-1 in another; a store of one's own may have either.
    """
    if own and bucket and own != bucket:
        return fail(
            f"[server] region is {own}, and bucket says region={bucket}",
            needed="one region, that of the bucket: a signature for another one is refused",
            remedy=f'take the line region = "{own}" out of [server], or write region={own} in bucket',
        )
    if amazon and re.fullmatch(r"[a-z]+-[a-z]+\d", used):
        meant = re.sub(r"(\d)$", r"-\1", used)
        return fail(
            f"AWS_REGION is {used}, which Amazon does not have",
            needed=meant,
            remedy=f"write region={meant} in [server] bucket",
        )
    if not (own or bucket):
        return note(
            f"no region is named, so the server signs for {used}", remedy=f"write region={used} in [server] bucket"
        )
    return passed(f"AWS_REGION is {used}")


def port(settings: ServerSettings) -> Run:
    """Where the container is published."""

    def look(_: Subject) -> Finding:
        family = socket.AF_INET6 if ":" in settings.bind else socket.AF_INET
        problem = ""
        try:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                # Port 0: any that is free; whether the address is this host's is the question.
                probe.bind((settings.bind, 0))
        except OSError as error:
            problem = error.strerror or str(error)
        return judge_port(settings.bind, settings.port, problem, https=settings.host.startswith("https://"))

    return look


def judge_port(bind: str, number: int, problem: str, *, https: bool) -> Finding:
    """`problem`: why nothing can be bound to that address, or ""."""
    where = f"[{bind}]:{number}" if ":" in bind else f"{bind}:{number}"
    if problem:
        return fail(
            f"the port cannot be published at {where}: {problem}",
            needed="an address of this host",
            remedy='[server] bind = "0.0.0.0", or one that `ip -brief address` shows',
        )
    if number < 1024:
        return note(f"the server is published at {where}", remedy="W&B's guide has 8080 behind a load balancer")
    if bind in _EVERYWHERE and https:
        return note(
            f"the server is published at {where}: whoever reaches this host gets past the load balancer, without TLS",
            remedy='[server] bind = "127.0.0.1" where the load balancer is on this host, else a firewall rule',
        )
    return passed(f"the server is published at {where}")


def embedded(_: Subject) -> Finding:
    """A server with the databases of its image."""
    return note(
        NOT_FOR_PRODUCTION, needed="an external MySQL and bucket, for production", remedy="wbagent server externalize"
    )
