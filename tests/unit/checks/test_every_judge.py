"""Every pure judgement that can warn or fail is tried by a test that names it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[3]
BAD: Final = frozenset({"warn", "fail"})


def _judges() -> Iterator[str]:
    """The public functions that decide on facts, and say that something is bad: of the modules and names that do so."""
    for module in sorted((ROOT / "wbagent/checks").rglob("*.py")):
        for each in ast.parse(module.read_text()).body:
            if not isinstance(each, ast.FunctionDef) or each.name.startswith("_"):
                continue
            called = {node.id for node in ast.walk(each) if isinstance(node, ast.Name)}
            if BAD & called and (each.name.startswith("judge") or module.name == "verdict.py"):
                yield each.name


def test_each_is_named_in_a_test() -> None:
    tests = "\n".join(each.read_text() for each in (ROOT / "tests").rglob("test_*.py"))
    judges = set(_judges())
    assert {name for name in judges if not re.search(rf"\b{name}\b", tests)} == set()
    # That they are found at all.
    assert {"judge_memory", "of_chain", "judge_clock"} <= judges
