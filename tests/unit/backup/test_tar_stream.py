"""A directory comes out of its tar as it went in, and one that changes under the reader is no backup."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wbagent.backup.engines.clone_directory import clear, fresh_name, look_at, prepare
from wbagent.backup.engines.tar_stream import tar_stream
from wbagent.errors import BackupError, StateError

NAMES = st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1, max_size=40).filter(
    lambda name: name not in {".", ".."}
)


def packed(root: Path) -> dict[str, bytes | None]:
    """What a tar of it holds: the content of files, None for directories."""
    data = io.BytesIO(b"".join(tar_stream(root)))
    found: dict[str, bytes | None] = {}
    with tarfile.open(fileobj=data, mode="r:") as archive:
        for member in archive:
            file = archive.extractfile(member)
            found[member.name] = file.read() if file else None
    return found


@given(files=st.dictionaries(NAMES, st.binary(max_size=3000), max_size=5))
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_every_file_comes_out_as_it_went_in(tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]) -> None:
    root = tmp_path_factory.mktemp("tree")
    (root / "sub").mkdir()
    expected: dict[str, bytes | None] = {"sub": None}
    for name, content in files.items():
        try:
            (root / "sub" / name).write_bytes(content)
        except OSError:
            # More than 255 bytes in UTF-8.
            continue
        expected[f"sub/{name}"] = content
    assert packed(root) == expected


def test_large_files_and_none_at_all(tmp_path: Path) -> None:
    assert packed(tmp_path) == {}
    content = bytes(range(256)) * 20_000
    (tmp_path / "ibdata1").write_bytes(content)
    assert packed(tmp_path) == {"ibdata1": content}


def test_file_that_grows_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "ibdata1"
    path.write_bytes(bytes(3 << 20))
    stream = tar_stream(tmp_path)
    next(stream)
    next(stream)
    with path.open("ab") as file:
        file.write(b"more")
    with pytest.raises(BackupError, match="changed while it was read"):
        list(stream)


def test_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ibdata1").symlink_to("/etc/passwd")
    with pytest.raises(BackupError, match="neither a file nor a directory"):
        list(tar_stream(tmp_path))


def test_directory_for_clones_is_made_and_emptied(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    place = tmp_path / "made/clones"
    # This user stands for mysqld's, which only root could give it to.
    owner, group = place_owner(tmp_path)
    prepare(place, owner, group)
    assert (look_at(place).why_not, place.stat().st_mode & 0o7777) == ("", 0o2770)
    assert look_at(place).free_bytes > 0
    (place / fresh_name() / "sub").mkdir(parents=True)
    (place / fresh_name()).symlink_to(outside)
    (place / "letter").touch()
    (place / "clone-of-mine").mkdir()
    prepare(place, owner, group)
    assert sorted(path.name for path in place.iterdir() if not path.is_symlink()) == ["clone-of-mine", "letter"]
    assert (outside / "kept").exists()


@pytest.mark.parametrize("mode", [0o750, 0o700, 0o2770])
def test_directory_of_somebody_else_is_left_as_it_is(tmp_path: Path, mode: int) -> None:
    """Above all MySQL's own data directory, named by mistake."""
    place = tmp_path / "mysql"
    (place / "wandb_local").mkdir(parents=True)
    (place / "wandb_local/runs.ibd").touch()
    (place / "ibdata1").touch()
    place.chmod(mode)
    prepare(place, *place_owner(tmp_path))
    assert place.stat().st_mode & 0o7777 == mode
    assert (place / "wandb_local/runs.ibd").exists()
    assert (place / "ibdata1").exists()


def test_directory_that_was_only_just_made_is_completed(tmp_path: Path) -> None:
    place = tmp_path / "clones"
    place.mkdir(mode=0o700)
    prepare(place, *place_owner(tmp_path))
    assert place.stat().st_mode & 0o7777 == 0o2770


def test_no_mysql_on_this_host(tmp_path: Path) -> None:
    prepare(tmp_path / "clones", "no-such-user", "no-such-group")
    assert not (tmp_path / "clones").exists()
    assert "No such file" in look_at(tmp_path / "missing").why_not
    clear(tmp_path / "missing")
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match="cannot be made"):
        prepare(tmp_path / "file/clones", *place_owner(tmp_path))


def place_owner(path: Path) -> tuple[str, str]:
    return path.owner(), path.group()
