"""A real S3 store: one-node Ceph (monitor, object store in memory, radosgw) that ends with the test."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.testbed.address import free_port, wait_until_open
from tests.testbed.command import run
from tests.testbed.errors import BedError
from tests.testbed.program import WORK, Program, inside
from tests.testbed.rootfs import CEPH, root_file_system
from tests.testbed.scratch import scratch
from wbagent.config.dsn import S3URL

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

REGION = "us-east-1"
_READY_WITHIN = 60.0

# One of each daemon, no replicas, and an answer to every proposal at once. Signing between the daemons is off
# (they are alone on loopback), and then radosgw hangs for ever unless the monitor's connections use crc.
# A killed radosgw that cached would hold its successor up for 30 s, and a client that missed a map asks again only
# at its next tick, 5 s by default. The directories stand here because the defaults lie in the tree, which others use.
_CONFIGURATION = """
[global]
fsid = {fsid}
mon_host = [v2:127.0.0.1:{monitor_port}/0]
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
ms_mon_client_mode = crc
paxos_propose_interval = 0.05
paxos_min_wait = 0.01
mon_allow_pool_size_one = true
mon_data_avail_crit = 1
mon_data_avail_warn = 1
osd_crush_chooseleaf_type = 0
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pgp_num = 1
osd_pool_default_pg_autoscale_mode = off
{objects}
osd_class_load_list = *
osd_class_default_list = *
rgw_gc_obj_min_wait = 1
rgw_cache_enabled = false
objecter_tick_interval = 0.25
mon_data = {work}/mon
osd_data = {work}/osd
crash_dir = {work}
run_dir = {work}
admin_socket = {work}/$name.asok
pid_file =
keyring =
log_to_stderr = true
log_to_file = false
mon_cluster_log_to_file = false
debug_mon = 0
debug_osd = 0
debug_rgw = 1
"""


_IN_MEMORY = "osd_objectstore = memstore\nmemstore_device_bytes = 17179869184"
_ON_DISK = "osd_objectstore = bluestore\nbluestore_block_size = {size}\nosd_memory_target = 1073741824"


@dataclass(frozen=True)
class Credentials:
    """The keys of one user of the store; the secret holds characters that a URL must escape."""

    access_key: str
    secret_key: str = field(repr=False)


class Ceph:
    """The store at `http://ADDRESS:PORT`, with one user; what it holds is gone when it ends.

    Without `port` a free one is taken. `network` is the file of a network namespace to live in, which has
    the address and its loopback up; name the port then. With `disk_gb` objects lie in a sparse file of so
    many gigabytes instead of in memory. Start it in a thread that outlives it: the
    kernel ends it together with that thread.
    """

    def __init__(
        self,
        *,
        address: str = "127.0.0.1",
        port: int | None = None,
        network: Path | None = None,
        disk_gb: int | None = None,
    ) -> None:
        self.address = address
        self.port = port or free_port(address)
        self.credentials = Credentials("BEDACCESSKEY00000001", "bed/secret+key/0000000000000000000000001=")
        self._cleanup = ExitStack()
        self.directory = Path()
        self._network = network
        self._objects = _ON_DISK.format(size=disk_gb << 30) if disk_gb else _IN_MEMORY
        self._daemons: list[Program] = []
        self._gateway: Program | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.directory = stack.enter_context(scratch("ceph"))
            stack.callback(self._end)
            self._start_cluster()
            self._create_user("wandb", self.credentials)
            self.start_gateway()
            self._cleanup = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._cleanup.close()

    def _end(self) -> None:
        if self._gateway:
            self.stop_gateway()
        while self._daemons:
            self._daemons.pop().kill()

    @property
    def endpoint_url(self) -> str:
        """`http://ADDRESS:PORT`."""
        return f"http://{self.address}:{self.port}"

    def url(self, bucket: str, prefix: str = "") -> S3URL:
        """Return the connection string for a bucket (and the keys below a prefix), as it stands in a configuration."""
        options = (("region", REGION), ("tls", "false"), ("forcePathStyle", "true"))
        keys = self.credentials
        return S3URL(keys.access_key, keys.secret_key, self.address, self.port, bucket, prefix, options)

    def client(self, address: str | None = None, port: int | None = None) -> S3Client:
        """Return a boto3 client of the store's user, for looking at what the product stored.

        `address` and `port` are those of a proxy before the store, when one is to be used.
        """
        import boto3  # noqa: PLC0415 - half a second that most users of this module need not spend
        from botocore.config import Config  # noqa: PLC0415

        return boto3.client(
            "s3",
            endpoint_url=f"http://{address or self.address}:{port or self.port}",
            aws_access_key_id=self.credentials.access_key,
            aws_secret_access_key=self.credentials.secret_key,
            region_name=REGION,
            config=Config(signature_version="s3v4", s3={"addressing_style": "path"}, retries={"max_attempts": 0}),
        )

    def create_user(self, name: str, keys: Credentials) -> Credentials:
        """Make a further user, who may use no bucket until a policy of it says so."""
        self._create_user(name, keys)
        return keys

    def create_bucket(self, bucket: str) -> None:
        """Make a bucket."""
        self.client().create_bucket(Bucket=bucket)

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        """Return the keys of all objects of a bucket below a prefix, sorted."""
        return sorted(self._keys(bucket, prefix))

    def _keys(self, bucket: str, prefix: str) -> Iterator[str]:
        for page in self.client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            yield from (entry["Key"] for entry in page.get("Contents", ()))

    def unfinished_uploads(self, bucket: str) -> list[str]:
        """Return the keys of multipart uploads that were begun and neither completed nor aborted."""
        return sorted(
            upload["Key"] for upload in self.client().list_multipart_uploads(Bucket=bucket).get("Uploads", ())
        )

    def administer(self, *arguments: str) -> None:
        """Run `radosgw-admin` with these arguments."""
        self._run("radosgw-admin", *arguments)

    def start_gateway(self) -> None:
        """Start radosgw and return when it takes requests; raises BedError."""
        if self._gateway:
            raise BedError("radosgw runs already")
        frontend = f"--rgw-frontends=beast endpoint={self.address}:{self.port}"
        self._gateway = self._start("radosgw", "-f", "--name", "client.rgw", frontend)
        self._gateway.wait_for_line("starting handler: beast", _READY_WITHIN)
        # That line comes a moment before the port is open.
        wait_until_open(self.address, self.port, _READY_WITHIN)

    def stop_gateway(self) -> None:
        """Take the store off the network at once (connections are refused); it keeps what it holds."""
        if not self._gateway:
            raise BedError("radosgw does not run")
        # SIGTERM is of no use: radosgw takes more than five seconds over it.
        self._gateway.kill()
        self._gateway = None

    @property
    def log(self) -> str:
        """The newest lines of radosgw's log, with one line for each request."""
        return self._gateway.tail() if self._gateway else ""

    def _start_cluster(self) -> None:
        fsid, object_store, monitor_port = str(uuid.uuid4()), str(uuid.uuid4()), free_port("127.0.0.1")
        configuration = _CONFIGURATION.format(fsid=fsid, monitor_port=monitor_port, work=WORK, objects=self._objects)
        (self.directory / "ceph.conf").write_text(configuration)
        (self.directory / "osd").mkdir()
        address = f"[v2:127.0.0.1:{monitor_port}]"
        self._run("monmaptool", "--create", "--fsid", fsid, "--addv", "a", address, f"{WORK}/monmap")
        self._run("ceph-mon", "--mkfs", "-i", "a", "--monmap", f"{WORK}/monmap")
        self._daemons.append(self._start("ceph-mon", "-f", "-i", "a"))
        self._run("ceph", "osd", "new", object_store)
        self._run("ceph-osd", "--mkfs", "-i", "0", "--osd-uuid", object_store)
        self._daemons.append(self._start("ceph-osd", "-f", "-i", "0"))

    def _create_user(self, name: str, keys: Credentials) -> None:
        arguments = ("--uid", name, "--display-name", name, "--access-key", keys.access_key)
        self._run("radosgw-admin", "user", "create", *arguments, "--secret-key", keys.secret_key)

    def _run(self, program: str, *arguments: str) -> None:
        run(self._inside(program, *arguments), shown=[program, *arguments], timeout=_READY_WITHIN)

    def _start(self, program: str, *arguments: str) -> Program:
        return Program(program, self._inside(program, *arguments), self.directory / f"{program}.log")

    def _inside(self, program: str, *arguments: str) -> list[str]:
        argv = [program, "-c", f"{WORK}/ceph.conf", *arguments]
        return inside(root_file_system(CEPH), self.directory, argv, network=self._network)
