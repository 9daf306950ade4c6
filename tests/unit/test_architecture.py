"""The shape of the source: imports point downwards, modules are small and say what they are, tests' modules too."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "wbagent"
MODULES = sorted(SOURCE.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))

# From top to bottom; a module imports from lower rooms and from its own, never from a higher one or one beside it.
# `wbagent status` shows the agent's overview, so cli stands above agent.
FLOORS = (
    {"cli"},
    {"setup", "verify", "support"},
    {"agent", "report", "checks"},
    {"upgrade"},
    {"drill"},
    {"restore"},
    {"backup"},
    {"server", "binlog", "alerts"},
    {"monitor"},
    {"database", "bucket"},
    {"state", "config", "systemd", "moment"},
    {"state_directory", "durable", "age"},
    {"errors"},
    {"absent", "held_signals", "in_thread", "events", "quantities", "addresses", "child", "chunk"},
)


def room(module: str) -> str:
    """wbagent.config.dsn -> config"""
    return module.split(".")[1] if "." in module else ""


def floor(name: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if name in rooms)


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("wbagent"):
            yield from (f"{node.module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.startswith("wbagent."))


def test_every_room_is_on_a_floor() -> None:
    rooms = {path.relative_to(SOURCE).parts[0].removesuffix(".py") for path in MODULES} - {"__init__"}
    assert rooms == set().union(*FLOORS)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_point_downwards(path: Path) -> None:
    own = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    if own == "__init__":
        return
    for module in imports(path):
        other = room(module)
        if other in {own, "__version__"}:
            continue
        assert floor(other) > floor(own), f"{path.name} imports {module}, which is not below it"


@pytest.mark.parametrize("path", MODULES + TESTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_says_what_it_is_and_is_small(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= 400
    docstring = ast.get_docstring(ast.parse(text))
    assert docstring
    assert docstring.split("\n\n")[0].rstrip().endswith(".")


def test_the_median_module_is_under_200_lines() -> None:
    assert median(path.read_text().count("\n") for path in MODULES) < 200
