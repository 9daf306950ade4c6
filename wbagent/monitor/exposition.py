"""Samples in the formats that Prometheus reads: its text format and OpenMetrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from wbagent.monitor.metric_names import HELP
from wbagent.monitor.sample import Labels, Sample

if TYPE_CHECKING:
    from prometheus_client import Metric

# A metric that nobody described is still better told than left out.
_NO_HELP: Final = "See METRICS in wbagent(8)."


class Families:
    """Samples as prometheus_client takes them: in families, each with its type and help.

    Invariant: whatever order samples come in and however often one comes, each name is one family and each series is
    in it once, with its last value; one series twice would make Prometheus refuse all of them.
    """

    def __init__(self, samples: Iterable[Sample], more: Callable[[], Iterable[Metric]] = tuple) -> None:
        self._series: dict[str, dict[Labels, float]] = {}
        self._more = more
        for sample in samples:
            self._series.setdefault(sample.name, {})[sample.labels] = sample.value

    def collect(self) -> Iterator[Metric]:
        """What prometheus_client's encoders ask for."""
        from prometheus_client import Metric  # noqa: PLC0415 - 2 MB, when asked for

        for name, series in sorted(self._series.items()):
            kind, family = _kind(name)
            metric = Metric(family, HELP.get(name, _NO_HELP), kind)
            for labels, value in series.items():
                metric.add_sample(name, dict(labels), value)
            yield metric
        yield from self._more()


def encode(families: Families, accept: str = "") -> tuple[bytes, str]:
    """The page and its content type, in the format that the Accept header prefers."""
    from prometheus_client.exposition import choose_encoder  # noqa: PLC0415 - as above

    encoder, content_type = choose_encoder(accept)
    return encoder(families), content_type  # type: ignore[arg-type, unused-ignore]  # wants a registry, calls collect()


def of_this_process() -> Iterable[Metric]:
    """Memory, processor time and descriptors of this process, under the names that all clients share."""
    from prometheus_client import PROCESS_COLLECTOR  # noqa: PLC0415 - as above

    return PROCESS_COLLECTOR.collect()


def _kind(name: str) -> tuple[str, str]:
    """Type and family of a name: its ending says what it is (prometheus.io/docs/practices/naming)."""
    for ending, kind in _KINDS.items():
        if name.endswith(ending):
            return kind, name.removesuffix(ending)
    return "gauge", name


_KINDS: Final[Mapping[str, str]] = {"_total": "counter", "_info": "info"}
