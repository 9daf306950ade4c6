"""Checks of the area "bucket": the object store of W&B's server, asked in the order in which trouble would show."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from wbagent.checks.bucket.store import Store
from wbagent.checks.check import Check, Finding, Subject, listed, note, unconfigured
from wbagent.config import Settings
from wbagent.config.dsn import ForeignBucketURL

_GUIDE: Final = "Object store"
_DOCS: Final = "W&B docs: object store"
_LIMIT_S: Final = 60.0
_CLOUDS: Final = {"gs": "Google's", "az": "Azure's", "cw": "CoreWeave's"}
_Run = Callable[[Store, Subject], Finding | Iterable[Finding]]


@dataclass(frozen=True, slots=True)
class _Look:
    """`run` is "module.function" of this package, imported when the check runs: boto3 takes half a second.

    `writes`: it stores objects.
    """

    name: str
    run: str
    why: str
    section: str = ""
    writes: bool = False


_LOOKS: Final = (
    _Look("endpoint", "endpoint.reachable", "without the store no run can save or load files", _GUIDE),
    _Look("users' address", "endpoint.for_users", "browsers and clients go to the store themselves", _GUIDE),
    _Look("clock", "endpoint.clocks", "a store refuses what was signed by a clock that is far off"),
    _Look("keys", "access.keys", "the server uses these keys for everything", _GUIDE),
    _Look("region", "access.region", "a signature names the region, and Amazon refuses the wrong one", _GUIDE),
    _Look("Object Lock", "rules.object_lock", "what is locked cannot be deleted, also by the server"),
    _Look("signed URL", "signed.signed_urls", "clients upload and download by signed URLs", _GUIDE, writes=True),
    _Look("refusal", "signed.refusals", "files of private projects are read by these URLs alone", _GUIDE, writes=True),
    _Look("CORS", "pages.cors", "browsers ask the bucket whether pages of HOST may load its files", _DOCS),
    _Look("multipart", "objects.multipart", "large files are uploaded in parts", _DOCS, writes=True),
    _Look("delete", "objects.deletion", "the server deletes what users delete", writes=True),
    _Look("lifecycle", "rules.lifecycle", "runs refer to their files for ever", _DOCS),
    _Look("versioning", "rules.versioning", "a file that is deleted by mistake can be had back"),
)


def checks(settings: Settings) -> Sequence[Check]:
    """Those that apply to this configuration."""
    server = settings.server
    if server is None:
        return [unconfigured("configuration", "no [server] on this host, so no bucket of it", "wbagent init")]
    if server.embedded or server.bucket is None:
        return [
            unconfigured(
                "embedded store",
                "the server uses the object store of its image: signed URLs go through HOST, so nothing is asked here."
                " Its files are on this host's disk only, and in no backup",
                "for production: wbagent server externalize",
            )
        ]
    if isinstance(server.bucket, ForeignBucketURL):
        scheme = str(server.bucket).partition("://")[0]
        return [
            unconfigured(
                f"{scheme}:// bucket",
                f"{_CLOUDS.get(scheme, 'another')} store is not asked: only S3 is spoken here. See to CORS (GET, PUT,"
                f" HEAD from {server.host}, any header, ETag exposed) and that no rule expires objects",
                "once the server runs, this tries signed uploads and downloads: wbagent verify",
            )
        ]
    if not server.bucket.access_key:
        return [
            unconfigured(
                "role",
                f"{server.bucket.address}: the connection string holds no keys, so the server uses its machine's role,"
                " with which nothing was tried from here",
                "once the server runs, this tries signed uploads and downloads: wbagent verify",
            )
        ]
    # The server signs for AWS_REGION where the connection string names no region.
    named = (*server.bucket.options, *(() if server.bucket.region else (("region", server.aws_region),)))
    return of_store(Store(replace(server.bucket, options=named), server.host))


def of_store(store: Store) -> Sequence[Check]:
    """The checks of an S3 bucket; what no longer makes sense after a failure is left out, and named at the end."""
    found = [Check(look.name, _gated(store, look), look.why, look.section, _LIMIT_S) for look in _LOOKS]
    return [*found, Check("not looked at", lambda _: _skipped(store), why="")]


def _gated(store: Store, look: _Look) -> Callable[[Subject], Iterable[Finding]]:
    def run(subject: Subject) -> Iterable[Finding]:
        if store.closed or (look.writes and store.unwritable):
            store.skipped.append(look.name)
            return
        module, _, function = look.run.partition(".")
        looks: _Run = getattr(importlib.import_module(f"wbagent.checks.bucket.{module}"), function)
        yield from listed(looks(store, subject))

    return run


def _skipped(store: Store) -> Iterable[Finding]:
    if store.skipped:
        yield note(
            f"{', '.join(store.skipped)}: {store.closed or store.unwritable}", remedy="mend that, then check again"
        )
