"""The report as one HTML page without outside links: readable in light and dark, on a phone and in print."""

from __future__ import annotations

from datetime import datetime
from importlib.resources import files

import jinja2

from wbagent import __version__
from wbagent.quantities import format_duration, format_size
from wbagent.report import chart
from wbagent.report.chart import Axis, Mark, Point
from wbagent.report.gather import Report


def page(report: Report) -> str:
    """The whole page."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters |= {
        "when": lambda at: f"{datetime.fromtimestamp(at).astimezone():%Y-%m-%d %H:%M}",
        "zone": lambda at: f"{datetime.fromtimestamp(at).astimezone():%Z}",
        "duration": lambda seconds: format_duration(seconds) if seconds else "0s",
        "size": format_size,
        "percent": _percent,
        "share": lambda share: f"{share:.3%}",
    }
    template = environment.from_string(files("wbagent.report").joinpath("page.html.j2").read_text(encoding="utf-8"))
    return template.render(
        report=report,
        version=__version__,
        cpu=_cpu(report),
        server=_server(report),
        sizes=_sizes(report),
        disks=[_disk(report, number) for number in range(len(report.disks))],
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _cpu(report: Report) -> str:
    axis = Axis(report.since, report.until, 1.0, _percent)
    return chart.lines(
        axis,
        report.cpu,
        title="busy share of the processors",
        gap=2.5 * report.bucket_s,
        limit=report.cpu_limit,
        marks=report.cpu_firing,
    )


def _server(report: Report) -> str:
    axis = Axis(report.since, report.until, 1.0, str)
    marks = [Mark(each.began, each.ended, f"{each.lasted}: {each.why}") for each in report.outages]
    return chart.strip(axis, marks, title="when the server was up and when not")


def _sizes(report: Report) -> str:
    top = max((backup.stored for backup in report.backups), default=1)
    axis = Axis(report.since, report.until, float(top), format_size)
    values = [
        (
            Point(backup.finished, float(backup.stored), 0.0),
            backup.kind,
            f"{backup.id}: {format_size(backup.stored)} in {format_duration(backup.took)}, {backup.standing}",
        )
        for backup in report.backups
    ]
    return chart.bars(axis, values, title="size of each backup as stored")


def _disk(report: Report, number: int) -> str:
    disk = report.disks[number]
    axis = Axis(report.since, report.until, float(disk.size), format_size)
    return chart.lines(
        axis, disk.used, title=f"used space of {disk.path}", gap=2.5 * report.bucket_s, limit=float(disk.size)
    )
