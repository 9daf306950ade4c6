"""Uploads and downloads by signed URLs, as W&B's clients make them, and what must be refused."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from wbagent.bucket.mc_lines import McLines
from wbagent.bucket.plain_http import Reply, send
from wbagent.bucket.signing import presigned, target
from wbagent.checks.bucket.store import GET_S, Store
from wbagent.checks.check import Finding, Subject, fail, note, passed, warn
from wbagent.quantities import format_size

# Twice what nginx lets through where nobody told it otherwise.
_SIZE: Final = 2 * 1024 * 1024
_SMALL: Final = 64 * 1024
_BROKEN_DIGEST: Final = frozenset({"BadDigest", "InvalidDigest"})
_AN_HOUR_S: Final = 3600
_HOST: Final = "proxy_set_header Host $http_host; (nginx)"


def signed_urls(store: Store, subject: Subject) -> Iterator[Finding]:
    """PUT, PUT with Content-MD5, HEAD and GET of what was put; all again for a key with a space."""
    body, key = secrets.token_bytes(_SIZE), store.key("object")
    with store.removed(subject, key):
        put = store.use("PUT", key, body)
        yield judge_put(put)
        if not put.good:
            store.unwritable = "a signed PUT is refused"
            return
        yield judge_head(store.use("HEAD", key), _SIZE)
        yield judge_get(store.use("GET", key), body)
    body = body[:_SMALL]
    yield _with_md5(store, subject, body)
    spaced = store.key("a key with a space")
    with store.removed(subject, spaced):
        yield judge_spaced(store.use("PUT", spaced, body), store.use("GET", spaced), body)


def md5(body: bytes) -> str:
    """As the header Content-MD5 holds it; here it is no protection but what the protocol asks for."""
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


def _with_md5(store: Store, subject: Subject, body: bytes) -> Finding:
    right, wrong = store.key("with-md5"), store.key("with-wrong-md5")
    with store.removed(subject, right), store.removed(subject, wrong):
        return judge_md5(
            store.use("PUT", right, body, signed={"content-md5": md5(body)}),
            store.use("PUT", wrong, body, more={"content-md5": md5(b"something else")}),
        )


def judge_put(put: Reply) -> Finding:
    """A day's URL for an upload."""
    if put.good:
        return passed("taken", about="PUT")
    if put.status == 413:
        return fail(
            f"{put.said}: a proxy before the store limits the size",
            needed="no limit",
            remedy="client_max_body_size 0; (nginx)",
            about="PUT",
        )
    if put.code == "SignatureDoesNotMatch":
        return fail(
            f"{put.said}, though reading is allowed: a proxy changes the request on its way",
            needed="a proxy that passes requests on as they are",
            remedy=_HOST,
            about="PUT",
        )
    return fail(
        put.said,
        needed="keys that may put objects",
        remedy="give the keys the policy of: wbagent bucket create --policy minio   # or: aws, ceph",
        about="PUT",
    )


def judge_md5(right: Reply, wrong: Reply) -> Finding:
    """`right`: an upload with a signed Content-MD5, after one without was taken; `wrong`: one that does not fit."""
    about, needed = "PUT with Content-MD5", "a proxy that passes Content-MD5 on, as W&B's clients send it"
    remedy = 'in the proxy before the store, pass every request header on: no proxy_set_header Content-MD5 ""; (nginx)'
    if not right.good:
        return fail(
            f"{right.said}: Content-MD5 is lost or changed on the way", needed=needed, remedy=remedy, about=about
        )
    if wrong.code in _BROKEN_DIGEST:
        return passed("taken, and refused when it does not fit", about=about)
    if wrong.good:
        return warn(
            "a wrong Content-MD5 is taken: what breaks on the way is stored, broken",
            needed=needed + ", and a store that compares it",
            remedy=remedy,
            about=about,
        )
    return note(f"taken; a wrong one is answered {wrong.said}", about=about)


def judge_head(head: Reply, size: int) -> Finding:
    """An hour's URL for a look at the object."""
    if not head.good:
        return fail(
            head.said,
            needed="that HEAD is signed for and passed on as HEAD",
            remedy="let the proxy before the store pass on HEAD as it is: proxy_cache_convert_head off; (nginx)",
            about="HEAD",
        )
    if head.headers.get("content-length") != str(size):
        return fail(
            f"the length is {head.headers.get('content-length', 'not told')} instead of {size}",
            needed="the object's own length",
            remedy="let the proxy before the store change no answer: gzip off; (nginx)",
            about="HEAD",
        )
    return passed("taken", about="HEAD")


def judge_get(got: Reply, body: bytes) -> Finding:
    """An hour's URL for a download."""
    if not got.good:
        remedy = "give the keys the policy of: wbagent bucket create --policy minio   # or: aws, ceph"
        return fail(got.said, needed="keys that may get objects", remedy=remedy, about="GET")
    if got.body != body:
        return fail(
            f"{len(got.body)} bytes came back that are not the {len(body)} that were stored",
            needed="the same bytes",
            remedy="see what stands before the store: a cache, or two stores behind one name",
            about="GET",
        )
    return passed(f"{format_size(len(body))} came back, equal", about="GET")


def judge_spaced(put: Reply, got: Reply, body: bytes) -> Finding:
    """The same for a key that is written otherwise in a URL; those without a space work."""
    about = "key with a space"
    if put.good and got.good and got.body == body:
        return passed("put and got, equal", about=about)
    said = put.said if not put.good else got.said
    return fail(
        f"{said}: names of files with a space do not work",
        needed="a proxy that does not decode and encode paths anew",
        remedy="proxy_pass http://STORE; without $uri and rewrites, which hold the path decoded (nginx)",
        about=about,
    )


def refusals(store: Store, subject: Subject) -> Iterator[Finding]:
    """What has expired, was changed or is not signed at all must be refused."""
    key = store.key("private")
    with store.removed(subject, key):
        if not store.use("PUT", key, b"private").good:
            return
        old = presigned(store.url, "GET", key, now=store.now() - 2 * _AN_HOUR_S, expires=_AN_HOUR_S)
        fresh = presigned(store.url, "GET", key, now=store.now(), expires=GET_S)
        changed = replace(fresh, target=fresh.target[:-1] + ("0" if fresh.target[-1] != "0" else "1"))
        plain = replace(fresh, target=target(store.url, key, {}))
        yield judge_refusal("an expired URL", send(old, "GET", trust=store.trust), store.mc)
        yield judge_refusal("a URL with another signature", send(changed, "GET", trust=store.trust), store.mc)
        yield judge_refusal("no signature", send(plain, "GET", trust=store.trust), store.mc)


def judge_refusal(what: str, reply: Reply, mc: McLines) -> Finding:
    """403 is right; 401 is some proxy's word for it."""
    if reply.status in {401, 403}:
        return passed("refused", about=what)
    if reply.good:
        public = what == "no signature"
        return fail(
            "the object is given: " + ("everybody may read the bucket" if public else "whoever has it reads for ever"),
            needed="403",
            remedy=f"mcli anonymous set private {mc.place}   # see what it takes away: mcli anonymous get-json"
            if public
            else "see what stands before the store: a cache that knows no signatures, or a public bucket",
            about=what,
        )
    return warn(f"answered {reply.said}", needed="403", remedy="see what stands before the store", about=what)
