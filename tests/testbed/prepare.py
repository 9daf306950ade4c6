"""Builds the test bed's cached parts up front, side by side, and reports the seconds that each took."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from tests.testbed.mysql_clients import MARIADB_CLIENT
from tests.testbed.package import package
from tests.testbed.rootfs import (
    BROWSER,
    BUILDER,
    CEPH,
    DATABASE_HOST,
    FRONTS,
    HOST,
    PROMETHEUS,
    REGISTRY,
    TOOLS,
    Recipe,
    is_cached,
    root_file_system,
)
from tests.testbed.standin_image import image_tar

Say = Callable[[str], None]

# The host waits for the database host's tree in its last step, so that one comes first.
TREES = (DATABASE_HOST, HOST, CEPH, BUILDER)
# The refusal of MariaDB's dump program is tested with the real one, pulls with a real registry, metrics with a real
# Prometheus, the report with a real browser, load balancers are real ones.
TREES_OF_TESTS = (*TREES, BROWSER, FRONTS, MARIADB_CLIENT, PROMETHEUS, REGISTRY, TOOLS)


def prepare_trees(trees: Iterable[Recipe], say: Say) -> None:
    """Build those of the root file systems that are missing; raises what the first that failed raised."""
    missing = [recipe for recipe in trees if not is_cached(recipe)]
    if not missing:
        return
    say(f"building root file systems: {', '.join(recipe.name for recipe in missing)}")

    def build(recipe: Recipe) -> None:
        root_file_system(recipe)
        say(f"root file system {recipe.name} is built")

    with ThreadPoolExecutor(len(missing)) as pool:
        list(pool.map(build, missing))


def main() -> None:
    """Build the parts that need the Python environment or the root file systems."""
    started = time.monotonic()
    with ThreadPoolExecutor() as pool:
        for part in (pool.submit(package), pool.submit(image_tar)):
            part.result()
    seconds = time.monotonic() - started
    if seconds > 1:
        print(f"          package and stand-in image are built, in {seconds:.1f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
