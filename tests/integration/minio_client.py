"""Runs lines of MinIO's client as they are printed for people, against the store of the tests."""

from __future__ import annotations

from pathlib import Path

from tests.testbed.ceph import Ceph
from tests.testbed.command import run
from tests.testbed.program import inside
from tests.testbed.rootfs import TOOLS, root_file_system

from .conftest import require


def minio_client(ceph: Ceph, directory: Path, *lines: str) -> str:
    """What they say; the program's name is Debian's, and the login is by the keys of the store's user."""
    require(TOOLS)
    keys = ceph.credentials
    login = (
        f"printf '%s\\n' '{keys.access_key}' '{keys.secret_key}' | mcli alias set wandb {ceph.endpoint_url} --path on"
    )
    script = "\n".join(["cd /mnt; export HOME=/mnt", 'mcli() { minio-client --quiet "$@"; }', login, *lines])
    command = inside(root_file_system(TOOLS), directory, ["bash", "-euc", script])
    return run(command, timeout=60).stdout
