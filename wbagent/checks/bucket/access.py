"""Whether the store takes the keys for this bucket, and in which region the bucket is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from wbagent.bucket.plain_http import send
from wbagent.bucket.signing import host_of, presigned
from wbagent.checks.bucket.store import Store
from wbagent.checks.check import Finding, Subject, fail, passed, warn
from wbagent.monitor import store_probe
from wbagent.monitor.store_probe import Trouble

_TIMEOUT_S: Final = 10.0
_ELSEWHERE: Final = "wbagent-nowhere-1"
# As in the mc and docker lines of W&B's guide; Amazon's names have a second dash, and the guide's YAML has it too.
_WITHOUT_DASH: Final = re.compile(r"([a-z]{2}(?:-gov|-iso[a-z]?)?-[a-z]+)(\d)")
_CHANGED: Final = "a proxy changes Host or the path: proxy_set_header Host $http_host; (nginx)"
# As the probe writes it: the request, the status, S3's name for the error.
_NAMED: Final = re.compile(r"GET: [34]\d\d \w+")
_NEEDED: Final = "keys that may get, put and delete objects of this bucket"


def keys(store: Store, subject: Subject) -> Iterator[Finding]:
    """Ask for an object that is not there: the store says what it has against the keys, the clock or the bucket."""
    asked = store_probe.read(store.url, store.key("none"), _TIMEOUT_S, store.now())
    if asked.trouble is None:
        yield (finding := judge_taken(asked.said, store))
        if finding.verdict == "fail":
            store.closed = "no S3 store answers there"
        return
    store.closed = "the store refuses the keys or the bucket"
    yield judge_trouble(asked.trouble, asked.said, store, port_is_lost=_signs_without_port(store, asked.trouble))


def judge_taken(said: str, store: Store) -> Finding:
    """An answer that is no trouble, to a read of what is not there: a store names its refusal, others do not."""
    if _NAMED.fullmatch(said):
        return passed(f"{store.url.address} takes the keys")
    return fail(
        f"{said} is no answer of an S3 store to a read of what is not there",
        needed="an S3 store behind this address",
        remedy="see what answers there: host and port in [server] bucket, and the proxy before the store",
    )


def judge_trouble(trouble: Trouble, said: str, store: Store, *, port_is_lost: bool) -> Finding:
    """What keeps the bucket from being used, and what mends it; `said` is the store's answer."""
    if port_is_lost:
        return fail(
            f"{said}: the store sees another Host than the one that was signed for: without the port",
            needed="a proxy that passes Host on as it came",
            remedy="in the proxy before the store: proxy_set_header Host $http_host; (nginx)",
        )
    found, remedy = {
        Trouble.KEY: ("the store does not know the access key", "mend the access key in [server] bucket"),
        Trouble.SIGNATURE: (
            "the signature is refused",
            f"mend the secret key in [server] bucket (special characters written as %XX); if it is right, {_CHANGED}",
        ),
        Trouble.CLOCK: ("the clocks differ by more than 15 minutes", "see both: timedatectl status"),
        Trouble.BUCKET: (f"there is no bucket {store.url.bucket}", "wbagent bucket create"),
        Trouble.REGION: (
            f"the bucket is not in region {store.url.region or 'us-east-1'}",
            "name the bucket's region in [server] bucket: ?region=…",
        ),
        Trouble.FULL: ("the store is full", "make room in it, or raise the quota"),
    }.get(trouble, ("the store does not do what was asked", "see the store's own log, and what stands before it"))
    return fail(f"{found} ({said})", needed=_NEEDED, remedy=remedy)


def _signs_without_port(store: Store, trouble: Trouble) -> bool:
    """Whether a proxy drops the port of Host, as nginx does with $host: then a signature for the bare name is right."""
    name, port = host_of(store.url)
    if trouble is not Trouble.SIGNATURE or port == (443 if store.url.tls else 80):
        return False
    bare = presigned(store.url, "GET", store.key("none"), now=store.now(), expires=60, headers={"host": name})
    as_sent = replace(bare, headers={"host": f"{name}:{port}"})
    return send(as_sent, "GET", trust=store.trust).code != "SignatureDoesNotMatch"


@dataclass(frozen=True, slots=True)
class Region:
    """`named` in the configuration, `own` what the bucket says ("" when it may not be asked); `minded`: whether the
    store refuses a signature for another one."""

    named: str | None
    own: str
    minded: bool


def region(store: Store, subject: Subject) -> Iterator[Finding]:
    """The region that is named, the bucket's, and whether the store minds at all."""
    elsewhere = replace(store.url, options=(("region", _ELSEWHERE), *store.url.options))
    asked = store_probe.read(elsewhere, store.key("none"), _TIMEOUT_S, store.now())
    yield judge_region(Region(store.url.region, _location(store), asked.trouble is not None))


def judge_region(region: Region) -> Finding:
    """Whether signatures name the region that the bucket is in; two that are configured the area server tells."""
    signed = region.named or "us-east-1"
    slip = _WITHOUT_DASH.fullmatch(region.named or "")
    if slip and region.own != region.named:
        named = f"{slip[1]}-{slip[2]}"
        right = region.own if region.own and region.minded else named
        return warn(
            f"region={region.named} is no region of Amazon's: {named} is (W&B's guide writes both)",
            needed=f"region={right}",
            remedy=f"region={right} in [server] bucket",
        )
    if not region.minded:
        own = f" (the bucket says {region.own})" if region.own not in {"", signed} else ""
        return passed(f"signed for {signed}; this store takes any{own}")
    if region.own and region.own != signed:
        return warn(
            f"signed for {signed}, and the bucket says that it is in {region.own}",
            needed=f"region={region.own}",
            remedy=f"region={region.own} in [server] bucket",
        )
    return passed(f"signed for {signed}")


def _location(store: Store) -> str:
    from botocore.exceptions import ClientError  # noqa: PLC0415 - half a second that `wbagent check host` need not wait

    from wbagent.bucket.s3_errors import explained  # noqa: PLC0415 - as above

    with explained(store.url, "say its region"):
        try:
            answer = store.client.get_bucket_location(Bucket=store.url.bucket)
        except ClientError as error:
            if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500:
                raise
            return ""
    # Amazon's first regions answer with none, and with the name of a continent.
    named = str(answer.get("LocationConstraint") or "us-east-1")
    return "eu-west-1" if named == "EU" else named
