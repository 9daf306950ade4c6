"""One value of a file changes, and nothing else in it, its mode or its owner."""

from __future__ import annotations

from pathlib import Path

import pytest

from wbagent.config.layers import Origin, file_layer
from wbagent.config.rewrite import replace_value, replaced
from wbagent.errors import ConfigError

KEY = ("server", "image")
OLD, NEW = "wandb/local:0.83.0", "wandb/local:0.84.0"


def line_of(text: str, directory: Path) -> int:
    """As the configuration finds it."""
    path = directory / "probe.toml"
    path.write_text(text, newline="")
    return file_layer(path).origins[KEY].line


@pytest.mark.parametrize(
    "text",
    [
        f'[server]\nimage = "{OLD}"\n',
        f'# {OLD}\n[server]  # ours\nhost = "x"\n  image="{OLD}"   # pinned: {OLD}\nport = 8080\n',
        f"[server]\nimage = '{OLD}'\n",
        f'server.image = "{OLD}"\n[backup]\nkeep_days = 7\n',
        f'[server]\r\nimage = "{OLD}"\r\n\r\n[backup]\r\n',
        f'[server]\n"image" = "{OLD}"',
        f'[other]\nimage = "{OLD}"\n[server]\nimage = "{OLD}"\n',
    ],
)
def test_only_this_value_changes(text: str, tmp_path: Path) -> None:
    number = line_of(text, tmp_path)
    changed = replaced(text, number, KEY, OLD, NEW)
    before, after = text.splitlines(keepends=True), changed.splitlines(keepends=True)
    assert [n for n, (a, b) in enumerate(zip(before, after, strict=True), start=1) if a != b] == [number]
    assert changed.count(NEW) == 1
    assert replaced(changed, number, KEY, NEW, OLD) == text


@pytest.mark.parametrize(
    "text",
    [
        f'server = {{ image = "{OLD}", port = 8080 }}\n',
        f'[server]\nimage = """{OLD}"""\n',
        '[server]\nimage = "wandb/local:0.82.0"\n',
        f'[server]\nimage = "wandb\\u002flocal:0.83.0" # {OLD}\n',
    ],
)
def test_guesswork_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="line of its own"):
        replaced(text, line_of(text, tmp_path), KEY, OLD, NEW)


def test_the_file_keeps_its_mode_and_is_never_half_written(tmp_path: Path) -> None:
    path = tmp_path / "wbagent.toml"
    path.write_text(f'[server]\nimage = "{OLD}"\n')
    path.chmod(0o640)
    origin = Origin(str(path), 2)
    replace_value(origin, KEY, OLD, NEW, dry=True)
    assert OLD in path.read_text()
    inode = path.stat().st_ino
    replace_value(origin, KEY, OLD, NEW)
    assert path.read_text() == f'[server]\nimage = "{NEW}"\n'
    assert (path.stat().st_mode & 0o777, path.stat().st_ino != inode) == (0o640, True)
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_no_plain_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "real.toml"
    path.write_text(f'[server]\nimage = "{OLD}"\n')
    link = tmp_path / "wbagent.toml"
    link.symlink_to(path)
    for source in (str(link), "credential wbagent.server.image"):
        with pytest.raises(ConfigError):
            replace_value(Origin(source, 2), KEY, OLD, NEW)
    assert OLD in path.read_text()
