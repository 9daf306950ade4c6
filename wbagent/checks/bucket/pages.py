"""What only browsers ask: whether pages of HOST may use the bucket (CORS)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from wbagent.bucket.cors import allows, origin_of, read
from wbagent.bucket.plain_http import Reply
from wbagent.checks.bucket.store import Store
from wbagent.checks.check import Finding, Subject, fail, passed, warn
from wbagent.errors import BucketError

_REMEDY: Final = "wbagent bucket cors"
_PROXY: Final = (
    "the bucket's rule is right: let the proxy before the store pass on OPTIONS, Origin and all headers of the answer"
)
# What a page of W&B's sends along with an upload.
_HEADERS: Final = ("content-type", "content-md5")


def cors(store: Store, subject: Subject) -> Iterator[Finding]:
    """The question that a browser asks before it puts or gets (preflight), and the answer that it looks at then."""
    key, origin = store.key("page"), origin_of(store.host)
    get, put = (judge_preflight(method, _preflight(store, method, key, origin), origin) for method in ("GET", "PUT"))
    bad = [finding for finding in (get, put) if finding.verdict == "fail"]
    if bad and _has_rule(store, origin):
        get, put = (replace(finding, remedy=_PROXY) if finding in bad else finding for finding in (get, put))
    if bad and get.found == put.found:
        yield replace(get, about=f"GET and PUT from {origin}")
        return
    yield from (get, put)
    if not (bad or store.unwritable):
        with store.removed(subject, key):
            if store.use("PUT", key, b"page").good:
                yield judge_seen(store.use("GET", key, more={"origin": origin}), origin)


def _preflight(store: Store, method: str, key: str, origin: str) -> Reply:
    asked = {"origin": origin, "access-control-request-method": method}
    if method == "PUT":
        asked["access-control-request-headers"] = ",".join(_HEADERS)
    return store.use(method, key, more=asked, preflight=True)


def judge_preflight(method: str, reply: Reply, origin: str) -> Finding:
    """Whether a browser goes on after this answer."""
    about, needed = f"{method} from {origin}", f"Access-Control-Allow-Origin: {origin}"
    allowed = reply.headers.get("access-control-allow-origin", "")
    if allowed not in {origin, "*"}:
        said = f"allowed is {allowed} only" if allowed else f"not allowed ({reply.said})"
        return fail(f"{said}: the browser shows no files or media of runs", needed=needed, remedy=_REMEDY, about=about)
    if not reply.good:
        return fail(f"answered {reply.said}", needed="200 or 204", remedy=_REMEDY, about=about)
    methods = _names(reply, "access-control-allow-methods")
    if method.lower() not in methods and "*" not in methods and method != "GET":
        return fail(f"{method} is not among the allowed methods", needed=needed, remedy=_REMEDY, about=about)
    headers = _names(reply, "access-control-allow-headers")
    missing = [name for name in _HEADERS if name not in headers]
    if method == "PUT" and missing and "*" not in headers:
        return fail(f"the header {missing[0]} is not allowed", needed="AllowedHeader *", remedy=_REMEDY, about=about)
    return passed("allowed", about=about)


def judge_seen(reply: Reply, origin: str) -> Finding:
    """Whether a page may look at what it was sent, and at its ETag."""
    about = "answer to a page"
    if reply.headers.get("access-control-allow-origin", "") not in {origin, "*"}:
        return fail(
            "a GET's answer does not name the origin: something before the store drops it",
            needed=f"Access-Control-Allow-Origin: {origin}",
            remedy=_PROXY,
            about=about,
        )
    exposed = _names(reply, "access-control-expose-headers")
    if "etag" not in exposed and "*" not in exposed:
        return warn("a page may not see ETag", needed="ExposeHeader ETag", remedy=_REMEDY, about=about)
    return passed("readable, with its ETag", about=about)


def _has_rule(store: Store, origin: str) -> bool:
    """Whether the bucket has the rule already, so that something on the way is to blame."""
    try:
        return any(allows(rule, origin) for rule in read(store.client, store.url))
    except BucketError:
        return False


def _names(reply: Reply, header: str) -> set[str]:
    return {name.strip().lower() for name in reply.headers.get(header, "").split(",")} - {""}
