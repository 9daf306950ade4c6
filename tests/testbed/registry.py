"""A real registry of images on a host's loopback: Debian's docker-registry, which Docker needs no certificate for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.testbed.host import Host
from tests.testbed.rootfs import REGISTRY, root_file_system

ADDRESS = "127.0.0.1:5000"
_PROGRAM = "/opt/docker-registry"
_CONFIG = "/run/testbed-registry.yml"
_SETTINGS = f"""\
version: 0.1
log:
  level: warn
storage:
  inmemory:
http:
  addr: {ADDRESS}
"""


@contextmanager
def registry(host: Host) -> Iterator[str]:
    """Run it on the host for the length of the `with` block; gives its address, to stand before images' names."""
    host.write(_PROGRAM, (root_file_system(REGISTRY) / "usr/bin/docker-registry").read_bytes(), mode=0o755)
    host.write(_CONFIG, _SETTINGS)
    unit = ["systemd-run", "--unit=testbed-registry", "--service-type=exec", "--collect"]
    host.run([*unit, _PROGRAM, "serve", _CONFIG])
    try:
        yield ADDRESS
    finally:
        host.run(["systemctl", "stop", "testbed-registry.service"])
        host.run(["rm", _PROGRAM, _CONFIG])
