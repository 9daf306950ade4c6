"""Opens the place for backups that the configuration names."""

from __future__ import annotations

from pathlib import Path

from wbagent.bucket.store import Store
from wbagent.config.model import BackupSettings


def open_store(
    backup: BackupSettings,
    state_directory: Path,
    *,
    patient: bool = False,
    impatient: bool = False,
    paced: bool = False,
) -> Store:
    """The bucket of [backup] destination, else `state_directory`/backups on this host; raises BucketError.

    `patient`: requests that fail in passing are made again for [backup] retry_for, for work of hours that nobody waits
    for; else for a quarter of a minute, or 10 s where nobody is there at all; `impatient`: for some seconds, for a
    caller that tries again by itself. `paced`: keep to [backup] bandwidth, for what runs in the background: a restore
    is in a hurry.
    """
    if backup.destination is None:
        from wbagent.bucket.directory import DirectoryStore  # noqa: PLC0415 - the other one is boto3, 40 MB

        return DirectoryStore(state_directory / "backups")
    from wbagent.bucket.s3 import S3Store  # noqa: PLC0415 - as above
    from wbagent.bucket.versions import ObjectLock  # noqa: PLC0415 - as above

    lock = ObjectLock(backup.lock_mode, backup.lock_days) if backup.lock_days else None
    return S3Store(
        backup.destination,
        part_size=backup.part_size,
        checksums=backup.request_checksum_calculation,
        timeout=backup.timeout,
        retry_for=backup.retry_for if patient else 0.0,
        bandwidth=backup.bandwidth if paced else None,
        lock=lock,
        impatient=impatient,
        reads=backup.read_back,
    )
