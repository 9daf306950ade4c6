"""The alert rules in the package, as Prometheus' own promtool judges them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.testbed.command import CommandError
from tests.testbed.prometheus import promtool

RULES = Path(__file__).parents[2] / "monitoring/prometheus/wbagent.rules.yml"
CASES = Path(__file__).with_name("wbagent.rules.test.yml")


def test_rules_are_correct_and_fire_when_they_should() -> None:
    assert "SUCCESS" in promtool(["check", "rules", "--lint-fatal", RULES.name], RULES).stdout
    assert "SUCCESS" in promtool(["test", "rules", CASES.name], RULES, CASES).stdout


def test_a_rule_that_never_fires_is_seen(tmp_path: Path) -> None:
    """The cases above can fail."""
    broken = tmp_path / RULES.name
    broken.write_text(RULES.read_text().replace("wbagent_database_up == 0", "wbagent_database_up == 2"))
    with pytest.raises(CommandError, match="WandbDatabaseAway"):
        promtool(["test", "rules", CASES.name], broken, CASES)
