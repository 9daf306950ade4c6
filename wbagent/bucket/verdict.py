"""What a thief with this host's keys could do to its backups: a pure judgement of what the keys may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from wbagent.bucket.powers import Powers

Level = Literal["good", "bad", "note"]


@dataclass(frozen=True, slots=True)
class Means:
    """What the configuration says: the lock that is asked for ("" for none), encryption, the way to the store."""

    lock: Literal["", "governance", "compliance"]
    encrypted: bool
    tls: bool
    same_machine: bool


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence for a person, and what to do about it where it is bad."""

    level: Level
    text: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The two answers, and the findings that they come from."""

    destroy: bool
    read: bool
    findings: tuple[Finding, ...]

    @property
    def good(self) -> bool:
        """Whether nothing is to be mended."""
        return all(finding.level != "bad" for finding in self.findings)


def judge(powers: Powers, means: Means) -> Verdict:
    """Judge them.

    Invariant: what could not be found out counts as allowed; "no" is said only of what was refused, or is locked.
    """
    destroy, read = _destroy(powers, means), _read(powers, means)
    return Verdict(destroy.level == "bad", read.level == "bad", (destroy, read, *_others(powers, means)))


def _destroy(powers: Powers, means: Means) -> Finding:
    mode = powers.retention.lower() or means.lock
    if not powers.versioned:
        how = "overwrite them, since the bucket keeps no versions" if powers.delete is False else "delete them"
        return _bad(
            f"a thief with this host's keys could destroy all backups: yes, {how}",
            "make a bucket with Object Lock and set [backup] lock_days, or at least turn versioning on and give this"
            " host the policy of --policy",
        )
    if powers.locking and mode == "compliance":
        return _good("not within the lock: mode compliance, which nobody can shorten")
    # Who may make a lock shorter waits until it is over, and then still has to be allowed to delete.
    shortens = powers.shorten is not False and powers.delete_version is not False
    if powers.locking and mode and powers.bypass is False and not shortens:
        return _good("not within the lock: mode governance, and these keys may not bypass it")
    if powers.locking and mode:
        return _bad(
            "a thief with this host's keys could destroy all backups: yes, they may bypass a lock of mode governance",
            'take s3:BypassGovernanceRetention from these keys (see --policy), or set lock_mode = "compliance"',
        )
    if powers.delete_version is not False or powers.administer is not False:
        how = "delete old versions" if powers.delete_version is not False else "change the bucket's settings"
        return _bad(
            f"a thief with this host's keys could destroy all backups: yes, they may {how}",
            "set [backup] lock_days where the bucket has Object Lock, or give this host the policy of --policy",
        )
    return _good("they can hide them (behind a delete marker or a newer version), but the old versions stay")


def _read(powers: Powers, means: Means) -> Finding:
    question = "a thief with this host's keys could read the past"
    if means.encrypted:
        return Finding("good", f"{question}: no, backups are encrypted to keys that are not on this host")
    if not powers.read:
        return Finding("good", f"{question}: no, reading is refused")
    return _bad(
        f"{question}: yes, also what has since been deleted from the database",
        "set [backup] encrypt_to, or read_back = false and the policy of --policy",
    )


def _others(powers: Powers, means: Means) -> list[Finding]:
    found = []
    if not powers.put:
        found.append(_bad("these keys may not write: no backup can be made", "allow s3:PutObject (see --policy)"))
    if not powers.list:
        found.append(_bad("these keys may not list: backups cannot be found", "allow s3:ListBucket (see --policy)"))
    if means.lock and powers.locking is False:
        found.append(
            _bad(
                "lock_days is set, but the bucket has no Object Lock",
                "make a new bucket with it: wbagent bucket create --backup --lock",
            )
        )
    if not means.tls:
        found.append(
            _bad(
                "the way to the store is not encrypted: who listens gets the data",
                "add tls=true to [backup] destination",
            )
        )
    if means.same_machine:
        found.append(
            _bad(
                "the store is on this very machine: what destroys the one destroys the other",
                "name a bucket elsewhere in [backup] destination",
            )
        )
    if powers.encryption:
        found.append(Finding("note", f"the store encrypts with keys of its own ({powers.encryption})"))
    if powers.left:
        found.append(
            Finding("note", f"{powers.left} probe objects could not be removed: they are small, below OWNER/.check/")
        )
    return found


def _bad(text: str, remedy: str) -> Finding:
    return Finding("bad", text, remedy)


def _good(why: str) -> Finding:
    return Finding("good", f"a thief with this host's keys could destroy all backups: no, {why}")
