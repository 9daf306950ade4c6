"""What TAG means beside the configured image, and which ways between releases are refused or warned of."""

from __future__ import annotations

import pytest

from wbagent.errors import UsageError
from wbagent.upgrade.release import judge, repository, same_image, tag_of, target, version_of

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("configured", "tag", "expected"),
    [
        ("wandb/local:0.83.0", "0.84.0", "wandb/local:0.84.0"),
        ("127.0.0.1:5000/wandb/local:0.83.0", "0.84.0", "127.0.0.1:5000/wandb/local:0.84.0"),
        ("registry.example.com:5000/wandb/local@" + DIGEST, "0.84.0", "registry.example.com:5000/wandb/local:0.84.0"),
        ("wandb/local:0.83.0", DIGEST, f"wandb/local@{DIGEST}"),
        ("wandb/local:0.83.0", "mirror.example.com/wandb/local:0.84.0", "mirror.example.com/wandb/local:0.84.0"),
        ("wandb/local:0.83.0", f"other/local@{DIGEST}", f"other/local@{DIGEST}"),
        ("wandb/local:0.83.0", "own:1", "own:1"),
        ("wandb/local:0.83.0", f"0.84.0@{DIGEST}", f"wandb/local:0.84.0@{DIGEST}"),
    ],
)
def test_target(configured: str, tag: str, expected: str) -> None:
    assert target(configured, tag) == expected


@pytest.mark.parametrize(
    "tag", ["latest", "wandb/local", "wandb/local:latest", "a b", "", "0.84.0\n", "127.0.0.1:5000/wandb/local", "../x"]
)
def test_what_pins_nothing_is_refused(tag: str) -> None:
    with pytest.raises(UsageError):
        target("wandb/local:0.83.0", tag)


def test_parts_of_a_name() -> None:
    assert repository("host:5000/wandb/local:0.83.0@" + DIGEST) == "host:5000/wandb/local"
    assert tag_of("host:5000/wandb/local@" + DIGEST) == ""
    assert version_of("wandb/local:v0.83.1-ubi") == (0, 83, 1)
    assert version_of("wandb/local:0.83") == (0, 83, 0)
    assert version_of("wandb/local:stand-in") is None
    assert same_image("docker.io/wandb/local:1", "wandb/local:1")
    assert not same_image("mirror.example.com/wandb/local:1", "wandb/local:1")


@pytest.mark.parametrize("new", ["0.78.0", "0.78.1", "v0.78.1", "0.76.9"])
def test_what_must_not_be_done(new: str) -> None:
    with pytest.raises(UsageError):
        judge("wandb/local:0.77.0", f"wandb/local:{new}")


@pytest.mark.parametrize(
    ("old", "new", "warned"),
    [
        ("0.82.0", "0.83.0", ""),
        ("0.83.0", "0.83.1", ""),
        ("0.81.0", "0.83.0", "skips 0.82"),
        ("0.79.2", "0.83.0", "skips 0.80 to 0.82"),
        ("0.83.0", "1.0.0", "major"),
        ("stand-in", "0.83.0", "stand-in tells no version"),
    ],
)
def test_warnings(old: str, new: str, warned: str) -> None:
    warnings = judge(f"wandb/local:{old}", f"wandb/local:{new}")
    assert len(warnings) == bool(warned)
    assert warned in "".join(warnings)
