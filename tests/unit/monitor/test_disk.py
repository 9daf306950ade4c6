"""File systems: which a path is on, what is counted, and that one that hangs holds up nothing."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path

import pytest

from wbagent.monitor.disk import Answer, Asker, Mount, Space, file_systems, look_up, mount_of, parse_mounts

MOUNTS = parse_mounts(
    "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
    "23 22 254:16 / /var/lib/mysql rw,noatime shared:2 master:7 - xfs /dev/vdb rw\n"
    "24 22 0:50 / /srv/with\\040blank rw - nfs4 nas:/x rw\n"
    "25 22 254:0 /var/lib/docker /var/lib/docker rw - ext4 /dev/vda rw\n"
    "26 23 254:32 / /var/lib/mysql rw - xfs /dev/vdc rw\n"
)


@pytest.mark.parametrize(
    ("path", "point", "device"),
    [
        ("/", "/", "254:0"),
        ("/var/lib", "/", "254:0"),
        ("/var/lib/mysql", "/var/lib/mysql", "254:32"),
        ("/var/lib/mysql/wandb_local", "/var/lib/mysql", "254:32"),
        ("/var/lib/mysql-files", "/", "254:0"),
        ("/srv/with blank/x", "/srv/with blank", "0:50"),
    ],
)
def test_the_mount_of_a_path(path: str, point: str, device: str) -> None:
    assert mount_of(path, MOUNTS) == Mount(point, device)


def test_counts_are_those_of_df(tmp_path: Path) -> None:
    space = look_up(str(tmp_path)).space
    shown = subprocess.run(
        ["df", "--block-size=1", "--output=size,used,avail,itotal", str(tmp_path)],
        check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL,
    ).stdout.splitlines()[1].split()  # fmt: skip
    assert space is not None
    assert [space.size, space.inodes] == [int(shown[0]), int(shown[3])]
    # Others write to it at the same time.
    assert space.used == pytest.approx(int(shown[1]), abs=2**30)
    assert space.available == pytest.approx(int(shown[2]), abs=2**30)


def test_what_is_reserved_for_root_is_not_free() -> None:
    found = os.statvfs_result((4096, 4096, 1000, 100, 50, 200, 20, 20, 0, 255))
    space = Space.of(found)
    assert space.used_percent == pytest.approx(100 * 900 / 950)
    assert space.inodes_percent == pytest.approx(90)


def test_a_path_that_is_not_there_is_on_the_mount_where_it_would_be(tmp_path: Path) -> None:
    missing = look_up(str(tmp_path / "no/such"))
    assert missing.mount == look_up(str(tmp_path)).mount
    assert missing.space is not None


def test_each_file_system_once_with_all_that_is_on_it() -> None:
    space = Space(100, 50, 50, 0, 0)
    root, docker = Mount("/", "254:0"), Mount("/var/lib/docker", "254:0")
    mysql = Mount("/var/lib/mysql", "254:32")
    found = file_systems(
        [
            ("mysql", Answer(mysql, space)),
            ("volume", Answer(docker, None, "permission")),
            ("docker", Answer(docker, space)),
            ("state", Answer(root, space)),
            ("state", Answer(root, space)),
        ]
    )
    assert [(each.point, each.holds) for each in found] == [
        ("/var/lib/mysql", ("mysql",)),
        ("/", ("volume", "docker", "state")),
    ]
    assert all(each.space for each in found)


def test_one_that_hangs_is_told_and_asked_again_by_nobody_until_it_answers() -> None:
    answered, asked = threading.Event(), []
    space = Space(100, 50, 50, 0, 0)

    def ask(path: str) -> Answer:
        asked.append(path)
        if path == "/hangs":
            answered.wait(30)
        return Answer(Mount(path, path), space)

    asker = Asker(ask, limit=0.2)
    for _ in range(2):
        found = asker.answers(["/hangs", "/fine"])
        assert found["/fine"].space == space
        assert found["/hangs"].space is None
        assert found["/hangs"].hangs
    assert asked.count("/hangs") == 1
    answered.set()
    while asker.answers(["/hangs"])["/hangs"].space is None:
        pass
    assert asked.count("/hangs") == 2
