"""The disk of a host: what it changes is laid over a cached root file system, which stays untouched."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path

from tests.testbed.bridge import Bridge
from tests.testbed.command import run

# The overlays of Docker and Podman need a real file system below, so these are plain directories, bound into the host.
BOUND = ("var/lib/docker", "var/lib/containerd", "var/lib/containers")

_NETWORK_UNIT = """\
[Unit]
Description=Address of this host on the test bed's bridge
DefaultDependencies=no
Wants=network.target
Before=network.target network-online.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=ip link set lo up
ExecStart=ip link set host0 up
ExecStart=ip address replace {address}/24 dev host0
ExecStart=ip route replace default via {gateway}

[Install]
WantedBy=sysinit.target network-online.target
"""


def lay_over(tree: Path, directory: Path) -> Path:
    """Return a writable root file system made of `tree`, with all changes below `directory`."""
    merged, upper, work = (directory / name for name in ("root", "changes", "work"))
    for path in (merged, upper, work, *(directory / bound for bound in BOUND)):
        path.mkdir(parents=True)
    merged.chmod(0o755)
    upper.chmod(0o755)
    # Volatile: a host's changes need to outlive its own death only, never the machine's.
    options = f"lowerdir={tree},upperdir={upper},workdir={work},volatile"
    mount = ["mount", "-t", "overlay", "wbagent-testbed", "-o", options, str(merged)]
    if run(mount, check=False).returncode:
        # An overlay cannot lie on an overlay, as in a container: then a copy has to do.
        run(["cp", "--archive", "--reflink=auto", f"{tree}/.", str(merged)], timeout=300)
    return merged


def give_identity(root: Path, name: str, bridge: Bridge, address: str, names: Mapping[str, str]) -> None:
    """Write a host's name, machine id, address and the addresses of `names` into its root file system."""
    (root / "etc/hostname").write_text(f"{name}\n")
    (root / "etc/machine-id").write_text(f"{uuid.uuid4().hex}\n")
    hosts = {"localhost": "127.0.0.1", **names, name: address}
    (root / "etc/hosts").write_text("".join(f"{address} {name}\n" for name, address in hosts.items()))
    units = root / "etc/systemd/system"
    unit = units / "testbed-network.service"
    unit.write_text(_NETWORK_UNIT.format(address=address, gateway=bridge.gateway))
    for target in ("sysinit.target", "network-online.target"):
        wants = units / f"{target}.wants"
        wants.mkdir(exist_ok=True)
        (wants / unit.name).symlink_to(f"../{unit.name}")
