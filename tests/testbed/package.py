"""The Debian package: built from the work tree in a clean Debian 13, checked by lintian, installed on hosts."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

from tests.testbed.cache import cached, remove_tree
from tests.testbed.command import run
from tests.testbed.errors import BedError
from tests.testbed.host import Host
from tests.testbed.program import inside
from tests.testbed.rootfs import BUILDER, root_file_system

SOURCE = Path(__file__).parents[2]


def source_files(source: Path = SOURCE) -> list[Path]:
    """Return what belongs to the source: files that git tracks or would add, by their relative paths."""
    command = ["git", "-C", str(source), "-c", f"safe.directory={source}", "ls-files", "-z"]
    listed = run([*command, "--cached", "--others", "--exclude-standard"]).stdout
    paths = (Path(name) for name in listed.split("\0") if name)
    return sorted(path for path in paths if (source / path).is_file())


def package(source: Path = SOURCE) -> Path:
    """Return the .deb of the source, built in a clean Debian 13 unless just this source has been built before."""
    # Tests do not get into the package, and a change of them needs no new one.
    files = [path for path in source_files(source) if path.parts[0] not in {"tests", "bench", ".ci", "dev"}]
    digest = hashlib.sha256()
    for path in files:
        content = hashlib.sha256((source / path).read_bytes()).hexdigest()
        digest.update(f"{path} {_is_executable(source / path)} {content}\n".encode())
    entry = cached("package", BUILDER.text() + digest.hexdigest(), lambda into: _build(source, files, into))
    return next(entry.glob("*.deb"))


def _build(source: Path, files: list[Path], into: Path) -> None:
    if Path("debian/control") not in files:
        raise BedError(f"{source} has no debian/control: there is no package to build")
    tree = into / "source"
    for path in files:
        copy = tree / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / path, copy)
        copy.chmod(0o755 if _is_executable(source / path) else 0o644)
    log = _in_builder(into, "cd /mnt/source && dpkg-buildpackage --build=binary --no-sign")
    (into / "build.log").write_text(log)
    remove_tree(tree)


def lint(deb: Path) -> str:
    """Return what lintian has to say about a package that `package` built; empty when it is clean."""
    with tempfile.TemporaryDirectory(prefix="wbagent-lint-") as name:
        directory = Path(name)
        for file in deb.parent.iterdir():
            shutil.copy(file, directory)
        return _in_builder(directory, "lintian --allow-root --fail-on=none --tag-display-limit=0 /mnt/*.changes")


def _in_builder(directory: Path, script: str) -> str:
    """Run a shell script in the builder's tree, with `directory` as /mnt, and return its output."""
    tree = root_file_system(BUILDER)
    environment = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "HOME=/mnt", "TMPDIR=/mnt"]
    command = inside(tree, directory, [*environment, "sh", "-ec", f"exec 2>&1; umask 022; {script}"])
    return run(command, timeout=300).stdout


def install(host: Host, deb: Path) -> None:
    """Install the package on a running host by apt, without any network: its dependencies are there."""
    target = f"/opt/{deb.name}"
    host.write(target, deb.read_bytes())
    host.run(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "--yes", target], timeout=180)
    host.run(["rm", target])


def installed_version(host: Host) -> str:
    """Return the version of the package that is completely installed on the host, "" when none is."""
    query = ["dpkg-query", "--show", "--showformat=${db:Status-Abbrev}${Version}", "wbagent"]
    state = host.run(query, check=False).stdout
    return state.removeprefix("ii ") if state.startswith("ii ") else ""


def version_of(deb: Path) -> str:
    """Return the version that a package file's name tells."""
    return deb.name.split("_")[1]


def _is_executable(path: Path) -> bool:
    return bool(path.stat().st_mode & 0o100)
