"""What Prometheus reads: each series once, each metric described, whatever samples come in which order."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from wbagent.monitor.exposition import Families, encode, of_this_process
from wbagent.monitor.metric_names import HELP
from wbagent.monitor.sample import Sample

SOURCE = Path(__file__).parents[3] / "wbagent"
OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"

names = st.sampled_from(sorted(HELP))
labels = st.lists(st.tuples(st.just("about"), st.text(max_size=8)), max_size=1).map(tuple)
samples = st.lists(st.builds(Sample, names, st.floats(0, 1e12), labels), max_size=20)


@given(samples)
def test_each_series_is_there_once_with_its_last_value(given_samples: list[Sample]) -> None:
    content, content_type = encode(Families(given_samples))
    assert content_type.startswith("text/plain")
    families = list(parse_text(content.decode()))
    read = {(each.name, tuple(each.labels.items())): each.value for family in families for each in family.samples}
    assert read == {(sample.name, sample.labels): sample.value for sample in given_samples}
    assert len({family.name for family in families}) == len(families)
    assert sum(len(family.samples) for family in families) == len(read)


def test_the_format_is_the_one_that_is_asked_for() -> None:
    counted = Sample("wbagent_server_restarts_total", 2.0)
    content, content_type = encode(Families([counted, Sample("wbagent_build_info", 1.0)], of_this_process), OPENMETRICS)
    assert content_type.startswith("application/openmetrics-text")
    families = parse_openmetrics(content.decode())  # type: ignore[no-untyped-call]  # as prometheus_client ships it
    kinds = {family.name: family.type for family in families}
    assert kinds["wbagent_server_restarts"] == "counter"
    assert kinds["wbagent_build"] == "info"
    assert "process_resident_memory_bytes" in kinds


def test_a_name_that_nobody_described_is_told_all_the_same() -> None:
    content, _ = encode(Families([Sample("wbagent_new_ratio", 0.5)]))
    assert b"\nwbagent_new_ratio 0.5\n" in content


def test_every_metric_is_described_and_every_description_has_its_metric() -> None:
    """`Sample("wbagent_…"` and tables with such keys are the places where a metric is made."""
    text = "".join(path.read_text() for path in SOURCE.rglob("*.py") if path.name != "metric_names.py")
    made = set(re.findall(r'Sample\(\s*"(wbagent_\w+)"', text)) | set(re.findall(r'"(wbagent_\w+)": "', text))
    assert "wbagent_cpu_busy_ratio" in made
    assert sorted(made - set(HELP)) == []
    assert sorted(name for name in HELP if f'"{name}"' not in text) == []


def test_names_keep_to_the_conventions() -> None:
    for name, sentence in HELP.items():
        assert re.fullmatch(r"wbagent(_[a-z0-9]+)+", name), name
        assert not re.search(r"_(ms|milliseconds|minutes|hours|kb|mb|gb|percent)(_|$)", name), name
        assert sentence.endswith("."), name
