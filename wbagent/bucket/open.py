"""Opens the place for backups that the configuration names."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, cast

from wbagent.bucket.store import Store
from wbagent.config.model import BackupSettings


def open_store(backup: BackupSettings, state_directory: Path, *, impatient: bool = False) -> Store:
    """The bucket of [backup] destination, else `state_directory`/backups on this host; raises BucketError.

    `impatient`: fail within seconds, for a caller that tries again by itself.
    """
    if backup.destination is None:
        from wbagent.bucket.directory import DirectoryStore  # noqa: PLC0415 - the other one is boto3, 40 MB

        return DirectoryStore(state_directory / "backups")
    from wbagent.bucket.s3 import S3Store  # noqa: PLC0415 - as above

    checksums = cast(Literal["when_supported", "when_required"], backup.request_checksum_calculation)
    return S3Store(backup.destination, part_size=backup.part_size, checksums=checksums, impatient=impatient)
