"""What `./dev` does: the developer's commands, and what they need built or installed first."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from bench.rootfs import BENCH_HOST
from tests.testbed.beside import can_be_beside, run_beside
from tests.testbed.environment import install_packages, python, variables
from tests.testbed.errors import BedError
from tests.testbed.keep import enter, stop_all
from tests.testbed.missing import why_no_hosts
from tests.testbed.package import lint, package
from tests.testbed.prepare import TREES, TREES_OF_TESTS, prepare_trees
from tests.testbed.rootfs import Recipe

ROOT = Path(__file__).parents[2]
PARTS = ("lint", "unit", "integration", "host")
USAGE = """\
./dev demo [--keep]       the main job on booted hosts; --keep leaves them up
./dev shell HOST          a shell on a host that was kept
./dev stop                end kept hosts
./dev test [PART…] [pytest's arguments]
                          all of lint, unit, integration and host, or those named
./dev bench NAME [ROUNDS] measure beside peers: recovery, footprint, backup,
                          memory, compression; into bench/results/NAME.json
./dev build               the Debian package, checked by lintian, into dist/
"""
_started = time.monotonic()


class UsageError(BedError):
    """The command line makes no sense."""


def main(arguments: list[str]) -> int:
    """Run one command and return the exit status; errors of the bed become one line."""
    commands: dict[str, Callable[[list[str]], int]] = {
        "demo": demo,
        "test": test,
        "bench": bench,
        "build": build,
        "shell": shell,
        "stop": stop,
    }
    command = commands.get(arguments[0]) if arguments else None
    if command is None:
        print(USAGE, end="")
        return 0 if arguments[:1] in (["help"], ["--help"], ["-h"]) else 64
    # A shell that puts it into the background has SIGINT ignored, and so would all that is started from here. There are
    # tests that send it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return command(arguments[1:])
    except KeyboardInterrupt:
        return 130
    except UsageError as error:
        print(f"usage: {error}", file=sys.stderr)
        return 64
    except (BedError, subprocess.CalledProcessError) as error:
        print(f"./dev: {error}", file=sys.stderr)
        return 70


def test(arguments: list[str]) -> int:
    """Run pytest over all parts or those named; other arguments are pytest's own."""
    parts = [argument for argument in arguments if argument in PARTS] or list(PARTS)
    others = [argument for argument in arguments if argument not in PARTS]
    if any((ROOT / other.partition("::")[0]).exists() for other in others):
        chosen = others
        parts = [part for part in PARTS if any(f"tests/{part}" in other for other in others)]
    else:
        chosen = [*(f"tests/{part}" for part in parts if (ROOT / "tests" / part).is_dir()), *others]
    prepare(trees=TREES_OF_TESTS if "host" in parts or "integration" in parts else ())
    command = [python(say), "-m", "pytest"]
    if can_be_beside(parts, others):
        return run_beside(command, parts, others)
    return subprocess.call([*command, *chosen], cwd=ROOT, env=variables())


def demo(arguments: list[str]) -> int:
    """Show the main job; returns when it has been shown, with --keep while it stays up."""
    if set(arguments) - {"--keep"}:
        raise UsageError("./dev demo [--keep]")
    if not prepare(trees=TREES):
        return 69
    command = [python(say), "-m", "tests.testbed.demo", *arguments]
    process = subprocess.Popen(command, cwd=ROOT, env=variables(), stdout=subprocess.PIPE)
    assert process.stdout
    try:
        # A run that stays up does so in the background, and closes its output to say so.
        while chunk := os.read(process.stdout.fileno(), 4096):
            os.write(1, chunk)
        if "--keep" in arguments:
            with suppress(subprocess.TimeoutExpired):
                return process.wait(0.2)
            return 0
    except KeyboardInterrupt:
        print("\ncleaning up", file=sys.stderr)
    return process.wait()


def bench(arguments: list[str]) -> int:
    """Run one comparison of bench/; the figures are of a quiet machine only if it is one."""
    if not prepare(trees=(*TREES, BENCH_HOST)):
        return 69
    return subprocess.call([python(say), "-m", "bench", *arguments], cwd=ROOT, env=variables())


def build(arguments: list[str]) -> int:
    """Build the package into dist/; the status is 1 when lintian complains."""
    if arguments:
        raise UsageError("./dev build")
    if not prepare(trees=TREES):
        return 69
    deb = package()
    complaints = lint(deb)
    print(complaints, end="")
    directory = ROOT / "dist"
    directory.mkdir(exist_ok=True)
    print(shutil.copy(deb, directory))
    return 1 if complaints else 0


def shell(arguments: list[str]) -> int:
    """Become a shell on a kept host."""
    if len(arguments) != 1:
        raise UsageError("./dev shell HOST")
    return subprocess.call(enter(arguments[0]))


def stop(arguments: list[str]) -> int:
    """End what was kept up."""
    if arguments:
        raise UsageError("./dev stop")
    print(f"stopped {stop_all()} run(s) that had been kept up")
    return 0


def prepare(*, trees: Sequence[Recipe]) -> bool:
    """Install and build what is missing; return whether hosts can be booted, after saying why not.

    Without `trees` only the Python environment is made, and no host is going to be booted.
    """
    if os.geteuid() == 0:
        install_packages(say, hosts=bool(trees))
    reason = why_no_hosts() if trees else None
    if reason:
        say(reason)
    bootable = bool(trees) and reason is None
    with ThreadPoolExecutor() as pool:
        ready = pool.submit(python, say)
        if bootable:
            prepare_trees(trees, say)
        ready.result()
    if bootable:
        subprocess.run([python(say), "-m", "tests.testbed.prepare"], cwd=ROOT, env=variables(), check=True)
    return bootable


def say(text: str) -> None:
    """Report progress, with the seconds since the start."""
    print(f"{time.monotonic() - _started:6.1f} s  {text}", file=sys.stderr, flush=True)
