"""Which disks are beneath a file system: partitions, LVM on RAID, overlays, network and memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from wbagent.checks.host.block_device import Disk, Kind, disks
from wbagent.checks.host.database_disk import judge_kind
from wbagent.monitor.disk import Mount, look_up, parse_mounts


class Machine:
    """A /sys with block devices, as the kernel lays them out."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.devices = root / "dev/block"
        self.devices.mkdir(parents=True)

    def disk(self, number: str, name: str, rotating: str = "0", model: str = "", driver: str = "sd") -> Path:
        node = self._node(number, name)
        (node / "queue").mkdir()
        (node / "queue/rotational").write_text(f"{rotating}\n")
        (node / "device").mkdir()
        (node / "device/model").write_text(f"{model}\n")
        (self.root / f"drivers/{driver}").mkdir(parents=True, exist_ok=True)
        (node / "device/driver").symlink_to(self.root / f"drivers/{driver}")
        return node

    def partition(self, number: str, of: Path, name: str) -> None:
        node = of / name
        node.mkdir()
        (node / "partition").write_text("1\n")
        (self.devices / number).symlink_to(node)

    def stacked(self, number: str, name: str, *beneath: str) -> None:
        node = self._node(number, name)
        (node / "slaves").mkdir()
        for each in beneath:
            (node / "slaves" / each.replace(":", "-")).mkdir()
            (node / "slaves" / each.replace(":", "-") / "dev").write_text(f"{each}\n")

    def loop(self, number: str, name: str, file: Path) -> None:
        node = self._node(number, name)
        (node / "loop").mkdir()
        (node / "loop/backing_file").write_text(f"{file}\n")

    def _node(self, number: str, name: str) -> Path:
        node = self.root / "devices" / name
        node.mkdir(parents=True)
        (self.devices / number).symlink_to(node)
        return node


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path)
    made.partition("8:1", made.disk("8:0", "sda", "1", "ST4000NM"), "sda1")
    made.partition("259:1", made.disk("259:0", "nvme0n1", "0", "Samsung SSD"), "nvme0n1p1")
    made.disk("254:0", "vda", "1", driver="virtio_blk")
    made.disk("8:32", "sdc", "1", "PersistentDisk Google")
    made.stacked("9:0", "md0", "8:1", "259:1")
    made.stacked("253:0", "dm-0", "9:0")
    return made


@pytest.mark.parametrize(
    ("device", "found"),
    [
        ("8:1", [("sda", Kind.ROTATING)]),
        ("259:1", [("nvme0n1", Kind.SOLID)]),
        ("254:0", [("vda", Kind.VIRTUAL)]),
        ("8:32", [("sdc", Kind.VIRTUAL)]),
        ("253:0", [("nvme0n1", Kind.SOLID), ("sda", Kind.ROTATING)]),
    ],
)
def test_through_partitions_and_volumes(machine: Machine, device: str, found: list[tuple[str, Kind]]) -> None:
    beneath = disks(Mount("/var/lib/mysql", device, "ext4", "/dev/x"), machine.devices)
    assert sorted((disk.name, disk.kind) for disk in beneath) == found


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("1 2 0:50 / /data rw - nfs4 nas:/data rw,vers=4.2", Kind.NETWORK),
        ("1 2 0:51 / /data rw - tmpfs tmpfs rw", Kind.MEMORY),
        ("1 2 0:52 / /data rw - zfs tank/mysql rw", Kind.UNKNOWN),
        ("1 2 0:53 / /data rw - overlay overlay rw,lowerdir=/a,upperdir=/not/there,workdir=/b", Kind.UNKNOWN),
        ("1 2 0:54 / /data rw - btrfs /dev/not-there rw", Kind.UNKNOWN),
    ],
)
def test_what_is_no_block_device(machine: Machine, line: str, kind: Kind) -> None:
    [mount] = parse_mounts(line + "\n")
    assert [disk.kind for disk in disks(mount, machine.devices)] == [kind]


def test_an_overlay_is_on_what_its_changes_are_on(machine: Machine, tmp_path: Path) -> None:
    own = look_up(str(tmp_path)).mount
    assert own is not None
    over = Mount("/data", "0:60", "overlay", "overlay", f"rw,lowerdir=/usr,upperdir={tmp_path}")
    assert disks(over, machine.devices) == disks(own, machine.devices)


def test_a_loop_device_is_on_what_its_file_is_on(machine: Machine, tmp_path: Path) -> None:
    machine.loop("7:0", "loop0", tmp_path / "image")
    own = look_up(str(tmp_path)).mount
    assert own is not None
    assert disks(Mount("/data", "7:0", "ext4"), machine.devices) == disks(own, machine.devices)


def test_a_circle_has_an_end(machine: Machine) -> None:
    machine.stacked("253:7", "dm-7", "253:7")
    assert [disk.kind for disk in disks(Mount("/data", "253:7", "ext4"), machine.devices)] == [Kind.UNKNOWN]


@pytest.mark.parametrize(
    ("kind", "verdict"),
    [
        (Kind.SOLID, "pass"),
        (Kind.ROTATING, "warn"),
        (Kind.MEMORY, "fail"),
        (Kind.VIRTUAL, "note"),
        (Kind.NETWORK, "note"),
        (Kind.UNKNOWN, "note"),
    ],
)
def test_what_is_said_of_each_kind(kind: Kind, verdict: str) -> None:
    assert judge_kind(Disk("sda", kind), "/var/lib/mysql").verdict == verdict
