"""Figures of one comparison: median and range per party and metric, as a table and as a JSON file."""

from __future__ import annotations

import json
import os
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import median

RESULTS = Path(__file__).with_name("results")


class Measurement:
    """What was measured, value by value; parties and metrics keep the order in which they first came."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))

    def add(self, party: str, metric: str, value: float) -> None:
        """Take in one value; the metric's name ends in its unit, such as `first_crash_s`."""
        self._values[party][metric].append(value)

    def table(self) -> str:
        """One line a party and metric, for people."""
        rows = [("party", "metric", "median", "range", "n")]
        for party, metric, values in self._rows():
            shown = [f"{value:.3f}" for value in (median(values), min(values), max(values))]
            rows.append((party, metric, shown[0], f"{shown[1]} to {shown[2]}", str(len(values))))
        widths = [max(len(row[column]) for row in rows) for column in range(5)]
        return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)

    @property
    def parties(self) -> tuple[str, ...]:
        """All parties, in the order in which they first came."""
        return tuple(self._values)

    def median(self, party: str, metric: str) -> float | None:
        """The median, or None where nothing of the kind was measured."""
        values = self._values[party].get(metric) if party in self._values else None
        return median(values) if values else None

    def shown(self, party: str, metric: str, digits: int) -> str:
        """For a cell of a table: "14.8", "14.8 (14.1 to 15.2)", or a dash."""
        values = self._values[party].get(metric)
        if not values:
            return "-"
        middle, least, most = (f"{value:,.{digits}f}" for value in (median(values), min(values), max(values)))
        return middle if least == most else f"{middle} ({least} to {most})"

    def write(self) -> Path:
        """Write bench/results/NAME.json and return its path."""
        parties: dict[str, dict[str, dict[str, float]]] = defaultdict(dict)
        for party, metric, values in self._rows():
            figures = {"median": median(values), "min": min(values), "max": max(values)}
            parties[party][metric] = {name: round(value, 4) for name, value in figures.items()} | {"n": len(values)}
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / f"{self.name}.json"
        path.write_text(json.dumps({"machine": machine(), "parties": parties}, indent=2) + "\n")
        return path

    def _rows(self) -> Sequence[tuple[str, str, list[float]]]:
        return [
            (party, metric, values) for party, metrics in self._values.items() for metric, values in metrics.items()
        ]


def machine() -> dict[str, str | int | float]:
    """What the figures were measured on; the load tells whether others used it too."""
    processor = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = re.search(r"^MemTotal:\s*(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return {
        "processor": processor[1] if processor else "unknown",
        "processors": os.cpu_count() or 0,
        "memory_gb": round(int(memory[1]) / 1e6) if memory else 0,
        "kernel": os.uname().release,
        "virtual": "hypervisor" in Path("/proc/cpuinfo").read_text(),
        "load_at_the_end": round(os.getloadavg()[0], 2),
    }
