"""A lease on a backup: a small object in the bucket that keeps retention away from it, also that of other hosts.

The kernel's lock in `lock` is quicker and cannot be forgotten, but tells only this host.
"""

from __future__ import annotations

import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from wbagent.backup.layout import is_backup_id, lease_prefix
from wbagent.bucket.store import NotAllowedError, NotStoredError, Store
from wbagent.errors import BucketError
from wbagent.systemd import journal

LIFETIME_S: Final = 1800.0
RENEW_S: Final = 300.0
# After a store that failed in passing: somebody reads without a lease until then.
RETRY_S: Final = 5.0
# Two hosts' clocks may differ by this much without a backup being removed under its reader.
SKEW: Final = timedelta(minutes=10)


class Lease(BaseModel):
    """Who reads the backup, for what, and until when that is to be believed."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    backup: str
    holder: str
    purpose: str
    expires_at: AwareDatetime


def is_held(lease: Lease, now: datetime) -> bool:
    """Whether the lease counts at `now` (aware).

    Invariant: a holder that renews in time holds it at every moment of every clock that is right to within SKEW; one
    that died holds it for no longer than LIFETIME_S + SKEW after its last renewal.
    """
    return now < lease.expires_at + SKEW


def leased(store: Store, owner: str, now: datetime) -> frozenset[str]:
    """The ids of this owner's backups that somebody reads now; raises BucketError.

    A lease that cannot be understood counts: its name still says which backup, and a newer release may have written it.
    """
    prefix = lease_prefix(owner)
    return frozenset(
        name
        for entry in store.entries(prefix)
        if is_backup_id(name := entry.key.removeprefix(prefix).partition("-")[0]) and _counts(store, entry.key, now)
    )


def clear_expired(store: Store, owner: str, now: datetime) -> int:
    """Remove the leases that readers who died left, and say how many; raises BucketError for what cannot be listed.

    One that this key may not read or remove stays: it does no harm. A reader that was only asleep writes it anew.
    """
    count = 0
    for entry in store.entries(lease_prefix(owner)):
        with suppress(NotAllowedError):
            if not _counts(store, entry.key, now):
                store.delete(entry.key)
                count += 1
    return count


def _counts(store: Store, key: str, now: datetime) -> bool:
    try:
        return is_held(Lease.model_validate_json(b"".join(store.get(key))), now)
    except NotStoredError:
        # Let go between the listing and the reading.
        return False
    except ValidationError:
        return True


@contextmanager
def lease(
    store: Store, owner: str, backup: str, purpose: str, clock: Callable[[], float] = time.time
) -> Iterator[None]:
    """Hold a lease on a backup while the block runs, renewed every RENEW_S.

    That it cannot be written is told in the journal and is no reason not to restore. It is tried again, unless the key
    may only read.
    """
    key = f"{lease_prefix(owner)}{backup}-{secrets.token_hex(4)}"
    holder = socket.gethostname()
    # It is renewed long before it ends, and ends by itself: a store that is away must not hold up who gives up on it.
    courtesy = store.hurried()

    def write(store: Store, pause: float = RENEW_S) -> float | None:
        """In how many seconds to write it again, None for never; `pause` is what this said last."""
        expires = datetime.fromtimestamp(clock(), UTC) + timedelta(seconds=LIFETIME_S)
        text = Lease(backup=backup, holder=holder, purpose=purpose, expires_at=expires).model_dump_json()
        try:
            store.put(key, text.encode())
        except BucketError as error:
            if pause == RENEW_S:
                journal.send(
                    f"retention on other hosts does not know that backup {backup} is being read: {error.message}",
                    level="warning",
                )
            return None if isinstance(error, NotAllowedError) else RETRY_S
        return RENEW_S

    ended = threading.Event()

    def renew(pause: float | None) -> None:
        while pause is not None and not ended.wait(pause):
            pause = write(courtesy, pause)

    first = write(store)
    if first is None:
        yield
        return
    renewal = threading.Thread(target=renew, args=(first,), name="lease", daemon=True)
    renewal.start()
    try:
        yield
    finally:
        ended.set()
        renewal.join()
        # It expires by itself where it may not be removed.
        with suppress(BucketError):
            courtesy.delete(key)
