"""The image of the stand-in for wandb/local: a bare Python and the stand-in's program, as a tar for `docker import`."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.testbed.cache import cached
from tests.testbed.command import run
from tests.testbed.program import WORK, inside
from tests.testbed.rootfs import HOST, root_file_system

_SOURCES = Path(__file__).with_name("standin")
_LIBRARY = "usr/lib/python3.13"
_LAUNCHER = """#!/usr/bin/python3.13 -ISu
from standin.my_init import main
main()
"""

# Prints every file that Python has open or loaded once the stand-in has all that it will ever import. The site
# directory is named by hand because -S leaves it out; cryptography is not needed, as MySQL offers TLS.
_TRACE = f"""
import sys
sys.modules["cryptography"] = None
sys.path += ["{WORK}", "/usr/lib/python3/dist-packages"]
import standin.my_init, standin.embedded, standin.migrations, standin.web
import encodings.ascii, encodings.idna, encodings.latin_1, pymysql.cursors, traceback
files = {{getattr(module, "__file__", None) for module in sys.modules.values()}}
files |= {{line.split()[-1] for line in open("/proc/self/maps") if ".so" in line or "python3" in line}}
print(*sorted(file for file in files if file), sep="\\n")
"""


def image_tar() -> Path:
    """Return the image's tar, made when missing or when the stand-in's program changed."""
    return _image() / "image.tar"


def image_tree() -> Path:
    """Return the image as a directory; read-only: copy it to run the stand-in without Docker."""
    return _image() / "tree"


def image_changes(**environment: str) -> list[str]:
    """Return what `docker import --change` must say about the image: its program, port, user and environment.

    `environment` goes into the image: with `STANDIN_SCHEMA_VERSION="4"` it is a newer release, with
    migrations of its own to run.
    """
    settings = [f"ENV {name}={value}" for name, value in environment.items()]
    return ['CMD ["/sbin/my_init"]', "EXPOSE 8080", "USER 999:0", *settings]


def _image() -> Path:
    host = root_file_system(HOST)
    sources = "\n".join(source.read_text() for source in (*sorted(_SOURCES.glob("*.py")), Path(__file__)))

    def build(directory: Path) -> None:
        tree = directory / "tree"
        _lay_out(tree)
        shutil.copytree(_SOURCES, directory / "standin", ignore=shutil.ignore_patterns("__pycache__"))
        for file in run(inside(host, directory, ["python3", "-IS", "-c", _TRACE])).stdout.split():
            _copy(host, Path(file), tree)
        shutil.move(directory / "standin", tree / _LIBRARY)
        # Compiled once and for all: nothing is compiled, or even looked at for its age, when a container starts.
        compiler = ["python3", "-m", "compileall", "-q", "-b", "--invalidation-mode", "unchecked-hash"]
        run(inside(host, directory, [*compiler, "-s", f"{WORK}/tree", "-p", "/", f"{WORK}/tree/{_LIBRARY}"]))
        for source in (tree / _LIBRARY).rglob("*.py"):
            source.unlink()
        run(["/sbin/ldconfig", "-r", str(tree)])
        run(["tar", "--numeric-owner", "--sort=name", "-C", str(tree), "-cf", str(directory / "image.tar"), "."])

    return cached("standin-image", f"{host.name}\n{sources}", build)


def _lay_out(tree: Path) -> None:
    for name in ("bin", "lib", "lib64", "sbin"):
        (tree / "usr" / name).mkdir(parents=True)
        (tree / name).symlink_to(f"usr/{name}")
    for name in ("dev", "etc/my_init.d", "proc", "sys", "tmp", "mnt", _LIBRARY):
        (tree / name).mkdir(parents=True)
    loader = "x86_64-linux-gnu/ld-linux-x86-64.so.2"
    (tree / "lib64" / Path(loader).name).symlink_to(f"../lib/{loader}")
    (tree / "etc/passwd").write_text("root:x:0:0::/root:/bin/false\nwandb:x:999:0::/vol:/bin/false\n")
    (tree / "etc/group").write_text("root:x:0:\n")
    for name in ("etc/container_environment", "etc/service", "vol"):
        (tree / name).mkdir()
        # Any user can run it as long as the group is 0, which is how OpenShift runs images.
        (tree / name).chmod(0o775)
    (tree / "tmp").chmod(0o1777)
    launcher = tree / "sbin/my_init"
    launcher.write_text(_LAUNCHER)
    launcher.chmod(0o755)


def _copy(host: Path, file: Path, tree: Path) -> None:
    if file.is_relative_to(WORK):
        return
    site = Path("/usr/lib/python3/dist-packages")
    target = f"{_LIBRARY}/{file.relative_to(site)}" if file.is_relative_to(site) else str(file).lstrip("/")
    (tree / target).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(host / str(file).lstrip("/"), tree / target)
