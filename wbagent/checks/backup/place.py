"""Where backups go: apart from the database, and out of reach for whoever takes this host over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from wbagent.bucket.nearness import on_this_machine, same_machine
from wbagent.bucket.verdict import Means, Verdict, judge
from wbagent.checks.check import Finding, Subject, fail, note, passed, warn
from wbagent.config import Settings
from wbagent.config.dsn import S3URL
from wbagent.config.model import BackupSettings

_COMMAND = "wbagent backup check-destination"


def destination(settings: Settings) -> Callable[[Subject], Finding]:
    """[backup] destination, against this host and the database's."""

    def look(_: Subject) -> Finding:
        url, database = settings.backup.destination, settings.database_url()
        beside = url is not None and database is not None and same_machine(url, database)
        return judge_destination(url, here=url is not None and on_this_machine(url), beside_database=beside)

    return look


def judge_destination(url: S3URL | None, *, here: bool, beside_database: bool) -> Finding:
    """Whether it outlives this host and the database's."""
    if url is None:
        return fail(
            "backups stay on this host: its disk takes the database and its backups with it",
            needed="a separate facility",
            remedy='[backup] destination = "s3://KEY:SECRET@offsite.example.com/wandb-backups/HOST?region=…&tls=true"',
        )
    if here or beside_database:
        whose = "this very machine" if here else "the database's machine"
        return fail(
            f"the store is on {whose}: what destroys the one destroys the other",
            needed="a separate facility",
            remedy="name a bucket elsewhere in [backup] destination",
        )
    return passed(f"s3://{url.address} is on another machine")


def keys(backup: BackupSettings) -> Callable[[Subject], Iterator[Finding]]:
    """What these keys may do in the bucket, tried with small objects of its own below OWNER/.check/."""

    def look(subject: Subject) -> Iterator[Finding]:
        from wbagent.bucket.client import IMPATIENT  # noqa: PLC0415 - boto3, 40 MB
        from wbagent.bucket.powers import clear, probe  # noqa: PLC0415 - as above

        url = backup.destination
        if url is None:
            return
        place = url, backup.owner, backup.request_checksum_calculation, IMPATIENT
        with subject.scratch.removed(partial(clear, *place)):
            powers = probe(*place)
        lock = backup.lock_mode if backup.lock_days else ""
        means = Means(lock, encrypted=bool(backup.encrypt_to), tls=url.tls, same_machine=False)
        yield from judge_keys(judge(powers, means), may_write=powers.put and powers.list)

    return look


def judge_keys(verdict: Verdict, *, may_write: bool) -> Iterator[Finding]:
    """The verdict of `wbagent backup check-destination`; what is bad in it is a failure only where backups fail."""
    for each in verdict.findings:
        if each.level == "good":
            yield passed(each.text)
        elif each.level == "note":
            yield note(each.text, remedy=_COMMAND)
        else:
            told = warn if may_write else fail
            yield told(each.text, needed="", remedy=f"{each.remedy}; {_COMMAND}")
