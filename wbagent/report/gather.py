"""What the report tells, out of the state directory and, for backups, the bucket."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from wbagent.alerts import cpu, history, states
from wbagent.alerts.disk import FREE, end_of
from wbagent.alerts.history import Span
from wbagent.backup.catalog import read_catalog
from wbagent.backup.proof import read_proof
from wbagent.bucket.open import open_store
from wbagent.config import Settings
from wbagent.errors import StateError, WbagentError
from wbagent.monitor.sample import Labels
from wbagent.monitor.samples import FILE, LEVELS, Bucket, Samples
from wbagent.quantities import format_duration
from wbagent.report.chart import Mark, Point
from wbagent.server import history as server_history
from wbagent.server.outages import outages
from wbagent.state import State

_CPU: Final = "wbagent_cpu_busy_ratio"
_SIZE: Final = "wbagent_disk_size_bytes"
# As many points as a chart is wide, about.
_MOST_POINTS: Final = 1500

_Series = dict[tuple[str, Labels], tuple[Bucket, ...]]


@dataclass(frozen=True, slots=True)
class Lapse:
    """An outage or an alert, in wall-clock seconds since the epoch; one that lasts ends now."""

    began: float
    ended: float
    lasted: str
    why: str


@dataclass(frozen=True, slots=True)
class BackupRow:
    """One stored backup: bytes, seconds; `standing` says how far it can be trusted, `kind` is good, doubt or bad."""

    id: str
    finished: float
    stored: int
    plain: int
    took: float
    standing: str
    kind: str


@dataclass(frozen=True, slots=True)
class DiskRow:
    """One file system: bytes, its past, and when it will be full."""

    path: str
    size: float
    free: float
    used: tuple[Point, ...]
    forecast: str


@dataclass(frozen=True, slots=True)
class _Space:
    """How a file system stands now: bytes, and in how many seconds it is full (None: there is no trend)."""

    size: float
    free: float
    ends_in: float | None


@dataclass(frozen=True, slots=True)
class Report:
    """Everything on the page; times are wall-clock seconds since the epoch, `bucket_s` the resolution of charts.

    `available`: share of the time since the server's first record within the period that it was not down unasked; None
    where there is none.
    """

    host: str
    since: float
    until: float
    bucket_s: int
    firing: tuple[str, ...]
    silenced: tuple[str, ...]
    cpu: tuple[Point, ...]
    cpu_limit: float
    cpu_firing: tuple[Mark, ...]
    has_server: bool
    outages: tuple[Lapse, ...]
    down_s: float
    available: float | None
    backups: tuple[BackupRow, ...]
    backups_problem: str
    disks: tuple[DiskRow, ...]
    alerts: tuple[Lapse, ...]


def gather(settings: Settings, state: State, since: float, now: float) -> Report:
    """What is known of the time from `since` to `now`. Raises StateError, AccessError."""
    bucket_s = resolution(since, now)
    spans, alerts = history.spans(state, since), states.stored(state)
    series, spaces = _samples(state, since, bucket_s, now)
    records = server_history.read(state.path.parent / "server" / "history.jsonl")
    lapses = tuple(lapse for lapse in _outages(records, now) if lapse.ended >= since)
    down = sum(lapse.ended - max(since, lapse.began) for lapse in lapses)
    first = max(since, records[0].at) if records else now
    backups, problem = _backups(settings, state, since)
    return Report(
        host=socket.gethostname(),
        since=since,
        until=now,
        bucket_s=bucket_s,
        firing=states.firing_titles(alerts),
        silenced=states.silenced_titles(alerts),
        cpu=_points(series.get((_CPU, ()), ())),
        cpu_limit=settings.monitor.cpu.above_percent / 100,
        cpu_firing=tuple(
            Mark(lapse.began, lapse.ended, lapse.why)
            for lapse in _lapses((span for span in spans if span.fingerprint == cpu.KIND), now)
        ),
        has_server=bool(records),
        outages=lapses,
        down_s=down,
        available=max(0.0, 1 - down / (now - first)) if now > first else None,
        backups=backups,
        backups_problem=problem,
        disks=_disks(series, spaces),
        alerts=_lapses(spans, now),
    )


def resolution(since: float, now: float) -> int:
    """The finest buckets (seconds) that are kept for so long and are not too many for a chart."""
    span = now - since
    fits = (length for length, kept in LEVELS if span <= kept and span / length <= _MOST_POINTS)
    return next(fits, LEVELS[-1][0])


def _samples(state: State, since: float, length: int, now: float) -> tuple[_Series, dict[Labels, _Space]]:
    """The past of what is drawn, and how each file system stands."""
    try:
        with Samples(state.path.with_name(FILE), read_only=True) as samples:
            series = {
                (name, labels): samples.read(name, labels, since, length)
                for name, labels in samples.series()
                if name in {_CPU, FREE, _SIZE}
            }
            # As the alert sees it: the charts of a month are too coarse for what is left now, and for a trend of hours.
            spaces = {
                labels: _space(samples, labels, free[-1].mean, size[-1].mean, now)
                for (name, labels), free in series.items()
                if name == FREE and free and (size := series.get((_SIZE, labels)))
            }
    except StateError:
        # Nothing has been stored yet: the page says so where the charts would be.
        return {}, {}
    return series, spaces


def _space(samples: Samples, labels: Labels, free: float, size: float, now: float) -> _Space:
    finest = LEVELS[0][0]
    newest = samples.read(FREE, labels, now - 10 * finest, finest)
    left = newest[-1].mean if newest else free
    return _Space(size, left, end_of(samples, FREE, dict(labels)["path"], left, size, now))


def _points(buckets: Iterable[Bucket]) -> tuple[Point, ...]:
    return tuple(Point(bucket.at + bucket.length / 2, bucket.mean, bucket.most) for bucket in buckets)


def _disks(series: _Series, spaces: dict[Labels, _Space]) -> tuple[DiskRow, ...]:
    rows = []
    for labels, space in sorted(spaces.items(), key=lambda item: item[0]):
        size, ends = space.size, space.ends_in
        used = tuple(
            Point(each.at + each.length / 2, size - each.mean, size - each.least) for each in series[FREE, labels]
        )
        forecast = f"Full in {format_duration(ends)} if it goes on like this." if ends is not None else "No trend."
        rows.append(DiskRow(dict(labels)["path"], size, space.free, used, forecast))
    return tuple(rows)


def _outages(records: Sequence[server_history.Record], now: float) -> Iterable[Lapse]:
    for outage in outages(records):
        length = outage.seconds(now)
        if outage.asked or outage.served_on or length is None:
            continue
        record = records[outage.first]
        more = f", {outage.ends} ends in a row" if outage.ends > 1 else ""
        lasted = ("at least " if outage.at_least else "") + format_duration(length)
        yield Lapse(outage.began, outage.began + length, lasted, f"{record.reason}; {record.detail}{more}")


def _lapses(spans: Iterable[Span], now: float) -> tuple[Lapse, ...]:
    return tuple(
        Lapse(
            span.began,
            now if span.ended is None else span.ended,
            format_duration((now if span.ended is None else span.ended) - span.began)
            + (", fires" if span.ended is None else ""),
            span.title,
        )
        for span in spans
    )


def _backups(settings: Settings, state: State, since: float) -> tuple[tuple[BackupRow, ...], str]:
    """The stored backups, and why they could not be asked for."""
    if settings.database_url() is None or not settings.backup.enabled:
        return (), "no backups are configured on this host"
    try:
        store = open_store(settings.backup, state.path.parent)
        rows = []
        for each in read_catalog(store, settings.backup.owner):
            record = each.manifest
            if record is None or record.finished_at.timestamp() < since:
                continue
            proof = read_proof(store, record) if each.state == "complete" else None
            if each.state != "complete" or (proof and not proof.ok):
                standing, kind = f"bad: {proof.reason if proof else each.reason}", "bad"
            else:
                standing, kind = ("proven", "good") if proof else ("committed", "doubt")
            finished = record.finished_at.timestamp()
            rows.append(
                BackupRow(each.id, finished, each.stored_bytes, record.plain_size, record.duration_s, standing, kind)
            )
    except WbagentError as error:
        return (), error.message
    return tuple(rows), ""
