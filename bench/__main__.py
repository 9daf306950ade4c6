"""`python -m bench NAME [ROUNDS]`: one measurement, its table, and its figures in bench/results/."""

from __future__ import annotations

import importlib
import sys
from typing import Final

NAMES: Final = ("recovery", "footprint", "backup", "memory", "compression")


def main(arguments: list[str]) -> int:
    """Run one measurement; 64 when there is none of that name."""
    if not arguments or arguments[0] not in NAMES:
        print(f"usage: ./dev bench {'|'.join(NAMES)} [ROUNDS]", file=sys.stderr)
        return 64
    module = importlib.import_module(f"bench.{arguments[0]}")
    figures = module.measure(*(int(rounds) for rounds in arguments[1:2]))
    print(f"\n{figures.table()}\n\nwritten to {figures.write()}")
    if hasattr(module, "page"):
        print(f"\nfor docs/benchmarks.md:\n\n{module.page(figures)}\n")
    if hasattr(module, "plot"):
        print(f"drawn in {module.plot()}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
