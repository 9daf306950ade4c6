"""The decisions of a restore: what may be replaced, what is whole, in which order it is put in place."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.backup.sample_manifest import manifest
from wbagent.backup.manifest import ServerRecord, StoredObject
from wbagent.database.unfinished import TABLE, may_replace
from wbagent.errors import DamagedError, RestoreError
from wbagent.restore.datadir import UNFINISHED, move_order, state_of
from wbagent.restore.filling import made_with
from wbagent.restore.myloader import judge, loader_options
from wbagent.restore.scratch import check_room, data_size, room_needed, scratch, unpacked_size
from wbagent.restore.unpack import unpack

FILES = {"ibdata1": b"i" * 3000, "mysql.ibd": b"m" * 700_000, "wandb/runs.ibd": b"r" * 5}


def tar(change: Callable[[tarfile.TarInfo], None] = lambda _: None) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        directory = tarfile.TarInfo("wandb")
        directory.type, directory.mode = tarfile.DIRTYPE, 0o750
        archive.addfile(directory)
        for name, data in FILES.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            change(member)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def pieces(data: bytes, size: int = 70_001) -> Iterator[bytes]:
    return iter([data[at : at + size] for at in range(0, len(data), size)])


@given(st.integers(1, 800_000))
def test_whole_archive_in_pieces_of_any_size(tmp_path_factory: pytest.TempPathFactory, size: int) -> None:
    target = tmp_path_factory.mktemp("target")
    assert unpack(pieces(tar(), max(size, 1000)), target, None) == 4
    assert {name: (target / name).read_bytes() for name in FILES} == FILES


def test_archive_that_broke_off_between_two_members_is_damaged(tmp_path: Path) -> None:
    whole = tar()
    # Behind the last member's content, where tarfile sees nothing wrong.
    at = whole.rindex(b"r" * 5) // 512 * 512 + 512
    with pytest.raises(DamagedError, match="broke off"):
        unpack(pieces(whole[:at]), tmp_path, None)


def test_archive_that_broke_off_within_a_member_is_damaged(tmp_path: Path) -> None:
    with pytest.raises(DamagedError, match="is broken"):
        unpack(pieces(tar()[:400_000]), tmp_path, None)


def test_what_the_stream_finds_at_its_end_is_heard(tmp_path: Path) -> None:
    def changed() -> Iterator[bytes]:
        yield from pieces(tar())
        raise DamagedError("its SHA-256 differs")

    with pytest.raises(DamagedError, match="SHA-256 differs"):
        unpack(changed(), tmp_path, None)


def _out(member: tarfile.TarInfo) -> None:
    member.name = f"../{member.name}"


def _link(member: tarfile.TarInfo) -> None:
    member.type, member.linkname, member.size = tarfile.SYMTYPE, "/etc/passwd", 0


@pytest.mark.parametrize("change", [_out, _link])
def test_archive_that_leads_out_is_refused(tmp_path: Path, change: Callable[[tarfile.TarInfo], None]) -> None:
    target = tmp_path / "target"
    target.mkdir()
    with pytest.raises(DamagedError):
        unpack(pieces(tar(change)), target, None)
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


def test_what_a_directory_is() -> None:
    assert state_of([]) == state_of(["lost+found"]) == "free"
    assert state_of(["ibdata1"]) == state_of(["auto.cnf", "letter"]) == "occupied"
    assert state_of(["lib", "log", "mysql"]) == "foreign", "/var, or any other directory that was never MySQL's"
    assert state_of(["ibdata1", UNFINISHED]) == "unfinished"


@given(st.sets(st.sampled_from(["ibdata1", "mysql.ibd", "undo_001", "#innodb_redo", "zebra", "auto.cnf"])))
def test_what_mysqld_needs_is_moved_last(names: set[str]) -> None:
    order = move_order(names)
    assert set(order) == names
    needed = [name for name in order if name in {"ibdata1", "mysql.ibd"}]
    assert order[len(order) - len(needed) :] == needed


def test_only_what_a_restore_left_may_be_replaced() -> None:
    assert may_replace([TABLE], ["runs"])
    assert may_replace([TABLE, "runs"], ["runs", "files"])
    assert not may_replace([TABLE, "runs", "made_since"], ["runs"])


def test_settings_of_a_clone() -> None:
    server = ServerRecord(
        version="9.7.4", comment="", host="db1", uuid="u", lower_case_table_names=1, page_size=None,
        data_file_path="ibdata1:1G:autoextend",
    )  # fmt: skip
    assert made_with(manifest(server=server)) == {
        "lower-case-table-names": "1",
        "innodb-data-file-path": "ibdata1:1G:autoextend",
    }


def test_room_is_checked(tmp_path: Path) -> None:
    assert room_needed(manifest()) > 500 << 20
    assert unpacked_size(manifest()) == 0, "a dump goes into its target as it comes"
    check_room(tmp_path, 1)
    with pytest.raises(RestoreError, match="nothing was touched") as refused:
        check_room(tmp_path, 1 << 60)
    looked_at = Path(refused.value.hint.rpartition(" ")[2])
    assert looked_at != tmp_path, "a directory that was made for the restore is gone when a person looks"
    assert looked_at.stat().st_dev == tmp_path.stat().st_dev


def test_room_for_what_is_compressed_is_for_what_becomes_of_it() -> None:
    files = StoredObject(
        file="mydumper.tar", size=10 << 30, sha256="0" * 64, plain_size=10 << 30, plain_sha256="0" * 64
    )
    known = manifest().database.model_copy(update={"data_bytes": 25 << 30})
    noted = manifest(engine="mydumper", objects=(files,), database=known)
    assert data_size(noted) >= 25 << 30
    assert room_needed(noted) >= 35 << 30, "mydumper's files are there too while they are loaded"
    assert 10 << 30 <= unpacked_size(noted) < 11 << 30, "the rest is on the target's disk"
    assert data_size(manifest(engine="mydumper", objects=(files,))) > 25 << 30, "of an earlier release, that noted none"


def test_who_runs_no_mysqld_needs_no_user_for_it(tmp_path: Path) -> None:
    with scratch(tmp_path / "scratch", for_mysqld=False) as (_, account):
        assert account is None


def test_room_of_a_killed_run_is_swept_and_that_of_a_running_one_is_not(tmp_path: Path) -> None:
    parent = tmp_path / "scratch"
    parent.mkdir()
    if os.geteuid() == 0:
        # mysqld does not run as root, and this machine need not have a user mysql.
        os.chown(parent, 65534, 65534)
    with scratch(parent) as (running, account):
        assert (account is None) is (os.geteuid() != 0)
        (parent / "restoring-dead" / "data").mkdir(parents=True)
        with scratch(parent) as (other, _):
            assert sorted(parent.iterdir()) == sorted([running, other])
    assert list(parent.iterdir()) == []


def test_myloader() -> None:
    options = loader_options(Path("/scratch/mydumper"), "wandb_local", "restored", 2)
    assert "--source-db=wandb_local" in options
    assert "--database=restored" in options
    judge(0, "** Message: done")
    with pytest.raises(RestoreError, match=r"CRITICAL: Error restoring wandb\.runs"):
        judge(0, "** (myloader:7): CRITICAL: Error restoring wandb.runs")
    with pytest.raises(RestoreError, match="was killed by signal 9"):
        judge(-9, "")
