"""What the bucket does by itself: locks that keep the server from deleting, rules that delete history, versions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from botocore.exceptions import ClientError

from wbagent.bucket.mc_lines import McLines
from wbagent.bucket.s3_errors import explained
from wbagent.checks.bucket.store import Store
from wbagent.checks.check import Finding, Subject, fail, note, passed, warn

# Objects of these classes are not given at once: they have to be restored first, for hours.
_UNKNOWN: Final = 501
_ARCHIVES: Final = frozenset({"GLACIER", "DEEP_ARCHIVE"})


def object_lock(store: Store, subject: Subject) -> Finding:
    """A lock that the bucket puts on every object; looked at before anything is stored, which could not go away."""
    found = _asked(store, lambda: store.client.get_object_lock_configuration(Bucket=store.url.bucket))
    finding = judge_lock(found and found.get("ObjectLockConfiguration", {}), store.mc)
    if finding.verdict == "fail":
        store.unwritable = "what is stored could not be removed: the bucket locks it"
    return finding


def judge_lock(lock: Mapping[str, Any] | None, mc: McLines) -> Finding:
    """`lock`: the bucket's configuration, empty where it has none, None where these keys may not ask."""
    if lock is None:
        return note("these keys may not ask for Object Lock")
    retention = (lock.get("Rule") or {}).get("DefaultRetention")
    if retention:
        length = f"{retention['Days']} days" if retention.get("Days") else f"{retention.get('Years')} years"
        return fail(
            f"Object Lock keeps every object for {length} ({retention.get('Mode', '').lower()}):"
            " the server cannot delete what users delete, and uploads without Content-MD5 are refused",
            needed="no lock by default in the server's bucket; it is for backups",
            remedy=mc.clear_default_lock(),
        )
    if lock.get("ObjectLockEnabled") == "Enabled":
        return passed("Object Lock is possible, and locks nothing by itself")
    return passed("no Object Lock")


def lifecycle(store: Store, subject: Subject) -> Iterator[Finding]:
    """Rules that remove or archive what runs have stored."""
    found = _asked(store, lambda: store.client.get_bucket_lifecycle_configuration(Bucket=store.url.bucket))
    if found is None:
        yield note("these keys may not ask for lifecycle rules: see that none expires objects (mcli ilm rule ls)")
        return
    yield from judge_lifecycle(found.get("Rules", ()), store.url.prefix, store.mc)


def judge_lifecycle(rules: Sequence[Mapping[str, Any]], prefix: str, mc: McLines) -> Iterator[Finding]:
    """A finding for each rule that takes away objects below `prefix`, or one that all is well.

    Unfinished uploads, old versions and delete markers may go: the server needs none of them.
    """
    harmless = 0
    for rule in rules:
        name, expires = rule.get("ID", ""), rule.get("Expiration") or {}
        archived = {step.get("StorageClass") for step in rule.get("Transitions", ())} & _ARCHIVES
        when = f"after {expires['Days']} days" if "Days" in expires else f"on {expires.get('Date')}"
        if rule.get("Status") != "Enabled" or not _overlap(_prefix_of(rule), prefix) or _by_tag(rule):
            harmless += 1
        elif "Days" in expires or "Date" in expires:
            yield fail(
                f"deletes objects {when}: files and media of older runs are lost",
                needed="no rule that expires current objects",
                remedy=mc.remove_rule(name),
                about=f"rule {name}",
            )
        elif archived:
            yield warn(
                f"archives objects ({', '.join(sorted(archived))}): they cannot be opened at once any more",
                needed="no rule that archives",
                remedy=mc.remove_rule(name),
                about=f"rule {name}",
            )
        else:
            harmless += 1
    if harmless:
        yield passed(f"{harmless} lifecycle rule(s) that take none of the server's objects")
    elif not rules:
        yield passed("no lifecycle rules")


def versioning(store: Store, subject: Subject) -> Iterator[Finding]:
    """Whether what is deleted or overwritten by mistake can be had back."""
    found = _asked(store, lambda: store.client.get_bucket_versioning(Bucket=store.url.bucket))
    if found is None:
        yield note("these keys may not ask whether the bucket keeps versions")
        return
    yield judge_versioning(found.get("Status", ""), store.hidden, store.mc)


def judge_versioning(status: str, hidden: int, mc: McLines) -> Finding:
    """`hidden`: how many of the checks' own objects could be hidden only, as these keys may not delete versions."""
    if status != "Enabled":
        was = "no versions any more (suspended)" if status else "no versions"
        return note(f"{was}: what is deleted or overwritten is gone", remedy=mc.keep_versions())
    if hidden:
        return note(
            f"versions are kept; these keys may not delete any, so {hidden} test objects of this check stay hidden",
            remedy=f"mcli ilm rule add --noncurrent-expire-days 30 {mc.place}",
        )
    return passed("versions are kept")


def _asked(store: Store, ask: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The answer; an empty one where there is no such setting, None where these keys may not ask."""
    with explained(store.url, "say how it is set up"):
        try:
            return ask()
        except ClientError as error:
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            if status >= 500 and status != _UNKNOWN:
                raise
            return {} if status in {404, _UNKNOWN} else None


def _prefix_of(rule: Mapping[str, Any]) -> str:
    chosen = rule.get("Filter") or {}
    return str(chosen.get("Prefix") or (chosen.get("And") or {}).get("Prefix") or rule.get("Prefix") or "")


def _by_tag(rule: Mapping[str, Any]) -> bool:
    """Whether it takes tagged objects only: the server tags none."""
    chosen = rule.get("Filter") or {}
    return bool(chosen.get("Tag") or (chosen.get("And") or {}).get("Tags"))


def _overlap(one: str, other: str) -> bool:
    other = f"{other}/" if other else ""
    return one.startswith(other) or other.startswith(one)
