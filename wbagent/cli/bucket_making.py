"""What `wbagent bucket create` and `cors` do and show: what is there, what is to be done, and the same by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import click

from wbagent.bucket import making
from wbagent.bucket.client import open_client
from wbagent.bucket.cors import NoCorsRulesError, as_xml, in_words, merged, read, wanted_rule, write
from wbagent.bucket.making import Found, Step, Wanted
from wbagent.bucket.mc_lines import McLines
from wbagent.bucket.policy import Kind, how_to_put, kind_of, least_policy, least_server_policy
from wbagent.bucket.s3_errors import explained
from wbagent.bucket.store import NotAllowedError
from wbagent.cli.confirming import confirm
from wbagent.config import Settings
from wbagent.config.dsn import S3URL

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_NO_RULES: Final = "MinIO's server allows every origin, unless it was told otherwise; one setting for all its buckets:"
_MC: Final = "# mcli is MinIO's client (minio-client in Debian, mc elsewhere); the first line asks for the keys"


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which bucket, and how it is to be."""

    settings: Settings
    url: S3URL
    wanted: Wanted
    backup: bool

    @property
    def mc(self) -> McLines:
        """The lines by hand."""
        return McLines(self.url, "offsite" if self.backup else "wandb")


def make(chosen: Chosen, url: S3URL, *, yes: bool) -> None:
    """Do what is missing; `url` has the keys to do it with. Raises BucketError, UsageError, click.Abort."""
    client = _client(url)
    with _for_the_administrator():
        found = making.look(client, url)
    todo = making.steps(found, chosen.wanted)
    click.echo(
        f"s3://{replace(url, prefix='').address}: " + ("is there" if found.exists else "there is no such bucket")
    )
    for step in todo:
        _tell("to do", _in_words(step, chosen))
    if todo:
        confirm(yes=yes, to_see="--print")
    has_rules = found.rules is not None
    try:
        with _for_the_administrator():
            for step in making.carry_out(client, url, todo, found, chosen.wanted):
                _tell("done", _in_words(step, chosen))
    except NoCorsRulesError:
        # The last of the steps, so all else is done.
        has_rules = False
    if chosen.wanted.origin and not has_rules:
        _tell("note", f"{_NO_RULES} `{chosen.mc.allow_origin(chosen.wanted.origin)}`")
    if todo:
        print_by_hand(chosen, found)
    else:
        _tell("is so", "nothing was to be done (the same by hand, and the least policy: --print)")


@contextmanager
def _for_the_administrator() -> Iterator[None]:
    try:
        yield
    except NotAllowedError as error:
        by_hand = "the store's administrator can do it by hand: wbagent bucket create --print"
        error.hint = f"{error.hint}; or {by_hand}"
        raise


def print_by_hand(chosen: Chosen, found: Found | None = None) -> None:
    """Print the lines of MinIO's client, and the least policy for the keys."""
    mc, wanted = chosen.mc, chosen.wanted
    click.echo(f"\nThe same by hand:\n{_MC}")
    lines = [mc.login(), mc.make(lock=wanted.lock)]
    if wanted.versioning and not wanted.lock:
        lines.append(mc.keep_versions())
    kind = kind_of(chosen.url, found.server if found else "")
    if wanted.origin:
        lines += ["wbagent bucket cors --print > cors.xml", f"{mc.set_cors('cors.xml')}   # replaces all other rules"]
    if wanted.origin and kind == "minio":
        lines.append(f"{mc.allow_origin(wanted.origin)}   # on MinIO's own server, instead of the two before")
    for line in lines:
        click.echo(f"  {line}")
    users = "; replace USER and OWNER" if kind == "ceph" else ""
    click.echo(
        f"\nThe least that the keys in the configuration need ({kind}{users}; others: --policy), and how to put it:"
    )
    click.echo(f"  {how_to_put(kind, chosen.url, mc.alias)}")
    print_policy(chosen, kind)


def print_policy(chosen: Chosen, kind: Kind) -> None:
    """Print the policy as JSON."""
    backup = chosen.settings.backup
    lock = chosen.wanted.lock or backup.lock_days is not None
    policy = (
        least_policy(kind, chosen.url, backup.owner, read_back=backup.read_back, lock=lock)
        if chosen.backup
        else least_server_policy(kind, chosen.url)
    )
    click.echo(json.dumps(policy, indent=2))


def set_rule(url: S3URL, origin: str, *, yes: bool) -> None:
    """Add the CORS rule, keep the others. Raises BucketError, UsageError, click.Abort."""
    client = _client(url)
    try:
        before = read(client, url)
    except NoCorsRulesError as error:
        error.hint = f"{_NO_RULES} {McLines(url, 'wandb').allow_origin(origin)}"
        raise
    after = merged(before, origin)
    click.echo(f"s3://{url.address}, CORS rules:")
    for rule in before:
        _tell("now", in_words(rule))
    if after == before:
        _tell("is so", f"{origin} may read and store already")
        return
    if not before:
        _tell("now", "none")
    for rule in after:
        _tell("to be", in_words(rule))
    confirm(yes=yes, to_see="--print")
    write(client, url, after)
    for rule in read(client, url):
        _tell("done", in_words(rule))


def print_rule(url: S3URL, origin: str) -> None:
    """The rule on standard output; what to do with it on the other."""
    mc = McLines(url, "wandb")
    click.echo(as_xml([wanted_rule(origin)]))
    for line in (
        _MC,
        mc.login(),
        f"{mc.set_cors('FILE')}   # replaces all rules of the bucket; see before: mcli cors get {mc.place}",
        f"{mc.allow_origin(origin)}   # on MinIO's own server, which has one setting for all buckets",
    ):
        click.echo(line, err=True)


def _client(url: S3URL) -> S3Client:
    with explained(url, "be opened"):
        return open_client(url, "when_required")


def _in_words(step: Step, chosen: Chosen) -> str:
    wanted, region = chosen.wanted, chosen.url.region
    return {
        Step.MAKE: f"make the bucket {chosen.url.bucket}"
        + (f" in region {region}" if region else "")
        + (" with Object Lock" if wanted.lock else ""),
        Step.VERSIONING: "keep versions of what is overwritten and deleted",
        Step.CORS: f"let pages of {wanted.origin} read and store (CORS)",
    }[step]


def _tell(what: str, text: str) -> None:
    click.echo(f"  {what + ':':<7} {text}")
