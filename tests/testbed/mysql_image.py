"""An image as those of MySQL are: its server program on the path, with the files that it reads, for drills."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from tests.testbed.cache import cached
from tests.testbed.command import run
from tests.testbed.rootfs import MYSQL, root_file_system

IMAGE = "mysql:test-bed"
# As MySQL's own image has it: a drill must not run it, and a volume of its own must not stay behind.
CHANGES = ('ENTRYPOINT ["docker-entrypoint.sh"]', 'CMD ["mysqld"]', "VOLUME /var/lib/mysql")
_PROGRAM = "/usr/sbin/mysqld"


def mysql_image_tar() -> Path:
    """Return the image's tar, made when missing or when MySQL changed."""
    source = root_file_system(MYSQL)

    def build(directory: Path) -> None:
        tree = directory / "tree"
        tree.mkdir()
        listing = run(["chroot", str(source), "ldd", _PROGRAM]).stdout
        libraries = sorted(set(re.findall(r"(/\S+) \(0x", listing)))
        for file in (_PROGRAM, *libraries):
            _copy(source, tree, file)
        _copy(source, tree, "/usr/lib/mysql/plugin/component_reference_cache.so")
        for name in ("english", "charsets"):
            shutil.copytree(source / "usr/share/mysql" / name, tree / "usr/share/mysql" / name)
        for name in ("etc", "tmp", "var/lib/mysql", "proc", "sys", "dev"):
            (tree / name).mkdir(parents=True)
        (tree / "etc/passwd").write_text("root:x:0:0::/root:/bin/false\nmysql:x:999:999::/var/lib/mysql:/bin/false\n")
        run(["tar", "--numeric-owner", "--sort=name", "-C", str(tree), "-cf", str(directory / "image.tar"), "."])
        shutil.rmtree(tree)

    return cached("mysql-image", f"{source.name}\n{Path(__file__).read_text()}", build) / "image.tar"


def _copy(source: Path, tree: Path, file: str) -> None:
    target = tree / file.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source / file.lstrip("/"), target)
