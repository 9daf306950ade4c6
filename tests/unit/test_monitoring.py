"""The Grafana board and the alert rules: whole, and about metrics that there are."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from wbagent.monitor.metric_names import HELP

MONITORING = Path(__file__).parents[2] / "monitoring"
BOARD: dict[str, Any] = json.loads((MONITORING / "grafana/wbagent.json").read_text())
RULES = re.sub(r"(?m)^ *#.*\n", "", (MONITORING / "prometheus/wbagent.rules.yml").read_text())
# Of Prometheus itself, of every client, of node_exporter.
FOREIGN = {"up", "process_resident_memory_bytes", "process_cpu_seconds_total", "node_textfile_mtime_seconds"}


def expressions() -> Iterator[str]:
    """Every query of the board."""
    for panel in BOARD["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))


def metrics_of(expression: str) -> set[str]:
    return set(re.findall(r"\b(?:wbagent|process|node)_\w+|\bup\b", re.sub(r'"[^"]*"', "", expression)))


def test_every_query_is_about_a_metric_that_is_described() -> None:
    asked = [metrics_of(expression) for expression in expressions()]
    assert all(asked)
    assert set().union(*asked) - FOREIGN - set(HELP) == set()
    assert metrics_of(RULES) - FOREIGN - set(HELP) == set()


def test_the_board_is_one_that_grafana_takes() -> None:
    assert BOARD["schemaVersion"] >= 39
    assert {variable["name"] for variable in BOARD["templating"]["list"]} == {"datasource", "instance"}
    panels = BOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        if panel["type"] != "row":
            assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            assert panel["title"]
            assert panel["description"].endswith("."), panel["title"]
            references = [target["refId"] for target in panel["targets"]]
            assert references == sorted(set(references))
            assert all("$instance" in target["expr"] for target in panel["targets"])


def test_no_two_panels_lie_on_each_other() -> None:
    places = [panel["gridPos"] for panel in BOARD["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above, (one, other)


@pytest.mark.parametrize("rule", re.split(r"(?m)^      - alert: ", RULES)[1:], ids=lambda rule: rule.split()[0])
def test_every_rule_says_what_happened_why_it_matters_and_what_to_do(rule: str) -> None:
    assert re.search(r"severity: (critical|warning)$", rule, re.MULTILINE) or "wbagent_alert_firing" in rule
    for name in ("summary", "description", "remedy"):
        assert re.search(rf'^          {name}: "[^"]+"$', rule, re.MULTILINE), name
