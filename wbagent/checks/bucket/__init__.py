"""Checks of the area "bucket": the object store of W&B's server, asked in the order in which trouble would show."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from wbagent.checks.bucket.store import Store
from wbagent.checks.check import Check, Finding, Subject, note, unconfigured
from wbagent.config import Settings
from wbagent.config.dsn import ForeignBucketURL

_SIGNED: Final = "Object store"
_LIMIT_S: Final = 60.0
_CLOUDS: Final = {"gs": "Google's", "az": "Azure's", "cw": "CoreWeave's"}
_Looks = Callable[[Store, Subject], Finding | Iterable[Finding]]
# Name, function, why. `writes`: it stores objects. Modules are imported when a check runs: boto3 takes half a second.
_CHECKS: Final = (
    ("endpoint", "endpoint.reachable", "without the store no run can save or load files", False),
    ("users' address", "endpoint.for_users", "browsers and clients go to the store themselves, by signed URLs", False),
    ("clock", "endpoint.clocks", "a store refuses what was signed by a clock that is far off", False),
    ("keys", "access.keys", "the server uses these keys for everything", False),
    ("region", "access.region", "a signature names the region, and Amazon refuses the wrong one", False),
    ("Object Lock", "rules.object_lock", "the server deletes what users delete", False),
    ("signed URL", "signed.signed_urls", "clients upload and download by signed URLs", True),
    ("refusal", "signed.refusals", "a signed URL is to work for its time, for what it was signed for", True),
    ("CORS", "pages.cors", "pages of HOST load files from the bucket's address, which browsers ask it about", False),
    ("multipart", "objects.multipart", "large files are uploaded in parts", True),
    ("delete", "objects.deletion", "the server deletes what users delete", True),
    ("lifecycle", "rules.lifecycle", "runs refer to their files for ever", False),
    ("versioning", "rules.versioning", "a file that is deleted by mistake can be had back", False),
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
    return of_store(Store(server.bucket, server.host, server.region))


def of_store(store: Store) -> Sequence[Check]:
    """The checks of an S3 bucket; what no longer makes sense after a failure is left out, and named at the end."""
    found = [
        Check(name, _gated(store, name, function, writes=writes), why, _SIGNED, _LIMIT_S)
        for name, function, why, writes in _CHECKS
    ]
    return [*found, Check("not looked at", lambda _: _skipped(store), why="")]


def _gated(store: Store, name: str, function: str, *, writes: bool) -> Callable[[Subject], Iterable[Finding]]:
    def run(subject: Subject) -> Iterable[Finding]:
        if store.closed or (writes and store.unwritable):
            store.skipped.append(name)
            return
        module, _, called = function.partition(".")
        look: _Looks = getattr(importlib.import_module(f"wbagent.checks.bucket.{module}"), called)
        found = look(store, subject)
        yield from [found] if isinstance(found, Finding) else found

    return run


def _skipped(store: Store) -> Iterable[Finding]:
    if store.skipped:
        yield note(
            f"{', '.join(store.skipped)}: {store.closed or store.unwritable}", remedy="mend that, then check again"
        )
