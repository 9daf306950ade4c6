"""The stand-in's image with a real mysqld in it, for the embedded mode; much larger, so an image of its own."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from tests.testbed.cache import cached
from tests.testbed.command import run
from tests.testbed.rootfs import MYSQL, root_file_system
from tests.testbed.standin_image import image_tree

TAG = "wandb/local:embedded"
_LANGUAGE = "english"


def embedded_image_tar() -> Path:
    """Return the image's tar, made when missing, when the stand-in changed or when MySQL did."""
    base, source = image_tree(), root_file_system(MYSQL)

    def build(directory: Path) -> None:
        tree = directory / "tree"
        run(["cp", "--archive", str(base), str(tree)])
        _add_mysqld(source, tree / "opt/mysql")
        run(["tar", "--numeric-owner", "--sort=name", "-C", str(tree), "-cf", str(directory / "image.tar"), "."])
        shutil.rmtree(tree)

    key = f"{base.parent.name}\n{source.name}\n{Path(__file__).read_text()}"
    return cached("embedded-image", key, build) / "image.tar"


def _add_mysqld(source: Path, base: Path) -> None:
    """mysqld with its libraries, their C library among them, and the files that it reads."""
    for name in ("bin", "lib", "share"):
        (base / name).mkdir(parents=True)
    listing = run(["chroot", str(source), "ldd", "/usr/sbin/mysqld"]).stdout
    libraries = sorted(set(re.findall(r"(/\S+) \(0x", listing)))
    files = [str(source / library.lstrip("/")) for library in libraries]
    run(["cp", "--dereference", "--", *files, str(base / "lib")])
    run(["cp", "--", str(source / "usr/sbin/mysqld"), str(base / "bin")])
    plugin = "lib/mysql/plugin/component_reference_cache.so"
    (base / plugin).parent.mkdir(parents=True)
    run(["cp", "--", str(source / "usr" / plugin), str(base / plugin)])
    for name in (_LANGUAGE, "charsets"):
        run(["cp", "--recursive", "--", str(source / "usr/share/mysql" / name), str(base / "share")])
