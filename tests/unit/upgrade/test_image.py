"""Which files `docker load` would make the wanted image of, and what counts as room enough."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any, Literal

import pytest

from wbagent.errors import StateError, UsageError
from wbagent.upgrade.image import check_file
from wbagent.upgrade.preflight import enough_room

WANTED = "wandb/local:0.84.0"


def saved(path: Path, manifest: Any = None, mode: Literal["w", "w:gz", "w:xz"] = "w") -> Path:
    """A file as `docker save` writes it: the manifest comes last."""
    with tarfile.open(path, mode) as archive:
        members = {"blobs/sha256/0123": b"layer"}
        if manifest is not None:
            members["manifest.json"] = json.dumps(manifest).encode()
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize("tag", [WANTED, f"docker.io/{WANTED}"])
@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_the_wanted_image(tag: str, mode: Literal["w", "w:gz", "w:xz"], tmp_path: Path) -> None:
    check_file(saved(tmp_path / "image.tar", [{"RepoTags": ["own/other:1", tag]}], mode), WANTED)


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        ([{"RepoTags": ["wandb/local:0.83.0"]}], "but wandb/local:0.83.0"),
        ([{"RepoTags": None}], "an image without a name"),
        (None, "no manifest.json"),
    ],
)
def test_another_image_is_named(manifest: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=said):
        check_file(saved(tmp_path / "image.tar", manifest), WANTED)


@pytest.mark.parametrize("content", [b"", b"no tar at all" * 100])
def test_no_archive(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "image.tar"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"is no tar archive, or a damaged one|no manifest"):
        check_file(path, WANTED)


def test_a_file_cut_short(tmp_path: Path) -> None:
    path = saved(tmp_path / "image.tar.gz", [{"RepoTags": [WANTED]}], "w:gz")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UsageError, match="is no tar archive, or a damaged one"):
        check_file(path, WANTED)


def test_room_is_twice_the_size() -> None:
    enough_room("it", Path("/"), free=200, size=100)
    with pytest.raises(StateError, match="needs about 200B in /, and 199B is free"):
        enough_room("it", Path("/"), free=199, size=100)
