"""The host of the bench: the tests' host with Podman beside Docker, in a tree of its own: theirs need not grow."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tests.testbed.rootfs import HOST

# crun, netavark, passt and so on are only recommended by Debian's podman, and recommended packages are left out.
BENCH_HOST: Final = replace(
    HOST, name="bench-host", packages=f"{HOST.packages} podman crun netavark aardvark-dns passt nftables"
)
