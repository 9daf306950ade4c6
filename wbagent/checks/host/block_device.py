"""Which disks are beneath a file system, through partitions, LVM, RAID, loop devices and overlays, and of what kind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from wbagent.monitor.disk import Mount, look_up

_DEVICES: Final = Path("/sys/dev/block")
# A RAID of logical volumes on loop devices is four deep; more than this is a circle.
_DEEPEST: Final = 12
_NETWORK: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "ceph", "glusterfs", "lustre", "afs", "9p", "beegfs", "gpfs", "fuse.glusterfs"}
)
_IN_MEMORY: Final = frozenset({"tmpfs", "ramfs"})
# The flag of a virtual disk is what its hypervisor happens to say, mostly "rotating".
_VIRTUAL_DRIVERS: Final = frozenset({"virtio_blk", "vbd", "xen-blkfront", "virtio-pmem"})
_VIRTUAL_MAKERS: Final = ("qemu", "vmware", "vbox", "virtual", "msft", "google", "amazon", "xen", "nutanix")


class Kind(StrEnum):
    """What a disk is, as far as the kernel knows."""

    SOLID = "solid state"
    ROTATING = "rotating"
    VIRTUAL = "virtual"
    NETWORK = "network"
    MEMORY = "memory"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Disk:
    """One that is beneath: "sda", of a kind, and what it says of itself."""

    name: str
    kind: Kind
    model: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.model})" if self.model else self.name


def disks(mount: Mount, devices: Path = _DEVICES, depth: int = 0) -> tuple[Disk, ...]:
    """All that the file system lies on, each once; one of kind UNKNOWN where nothing can be found out."""
    return tuple(dict.fromkeys(_of(mount, devices, depth)))


def _of(mount: Mount, devices: Path, depth: int) -> Iterator[Disk]:
    if mount.kind in _NETWORK:
        yield Disk(f"{mount.kind} {mount.source}", Kind.NETWORK)
    elif mount.kind in _IN_MEMORY:
        yield Disk(mount.kind, Kind.MEMORY)
    elif depth > _DEEPEST:
        yield Disk(mount.source or mount.device, Kind.UNKNOWN)
    elif (devices / mount.device).exists():
        yield from _beneath(devices / mount.device, devices, depth)
    elif upper := _option(mount, "upperdir"):
        # What is written to an overlay goes there; within a container that path cannot be seen.
        below = look_up(upper).mount if Path(upper).is_dir() else None
        yield from disks(below, devices, depth + 1) if below is not None else (Disk("an overlay", Kind.UNKNOWN),)
    elif number := _number(mount.source):
        # Btrfs gives each of its trees a device number of its own.
        yield from _beneath(devices / number, devices, depth)
    else:
        yield Disk(f"{mount.kind} {mount.source}".strip(), Kind.UNKNOWN)


def _beneath(node: Path, devices: Path, depth: int) -> Iterator[Disk]:
    """The disks below a block device, itself where nothing is."""
    node = node.resolve()
    if (node / "partition").exists():
        node = node.parent
    below = sorted((node / "slaves").iterdir()) if (node / "slaves").is_dir() else []
    if depth > _DEEPEST:
        yield Disk(node.name, Kind.UNKNOWN)
    elif below:
        for each in below:
            yield from _beneath(devices / _read(each / "dev"), devices, depth + 1)
    elif file := _read(node / "loop/backing_file"):
        mount = look_up(file).mount
        yield from disks(mount, devices, depth + 1) if mount is not None else (Disk(node.name, Kind.UNKNOWN),)
    else:
        yield _disk(node)


def _disk(node: Path) -> Disk:
    model = " ".join(filter(None, (_read(node / "device/vendor"), _read(node / "device/model"))))
    # A virtio disk's vendor is a number on the PCI bus.
    model = "" if model.startswith("0x") else model
    driver = (node / "device/driver").resolve().name
    if driver in _VIRTUAL_DRIVERS or any(maker in model.lower() for maker in _VIRTUAL_MAKERS):
        return Disk(node.name, Kind.VIRTUAL, model or driver)
    kind = {"0": Kind.SOLID, "1": Kind.ROTATING}.get(_read(node / "queue/rotational"), Kind.UNKNOWN)
    return Disk(node.name, kind, model)


def _option(mount: Mount, name: str) -> str:
    options = dict(option.partition("=")[::2] for option in mount.options.split(","))
    return options.get(name, "")


def _number(source: str) -> str:
    try:
        number = Path(source).stat().st_rdev if source.startswith("/dev/") else 0
    except OSError:
        return ""
    return f"{os.major(number)}:{os.minor(number)}" if number else ""


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
