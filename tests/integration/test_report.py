"""The report in a real browser without network: light, dark, on a phone and in print; from a real state directory."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from tests.testbed.rootfs import BROWSER, root_file_system
from wbagent.alerts.cpu import condition
from wbagent.alerts.judging import judge
from wbagent.config import Settings
from wbagent.config.monitor import CpuSettings
from wbagent.moment import Moment
from wbagent.monitor.sample import Sample
from wbagent.monitor.samples import Collector
from wbagent.report.gather import BackupRow, Report, gather
from wbagent.report.page import page
from wbagent.server import history
from wbagent.server.history import Reason, Record
from wbagent.state import State

HOUR, DAY = 3600.0, 86400.0
NOW = float(int(time.time()) // 600 * 600)
DISK = (("path", "/var/lib/mysql"),)
GIB = 1024.0**3


def moment(at: float) -> Moment:
    return Moment(at, at, "boot")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def report(directory: Path) -> Report:
    """A day in which the processors were busy for an hour, the server ended once, and a disk fills."""
    (directory / "server").mkdir()
    settings = Settings()
    collector, cpu = Collector(), CpuSettings()
    with State(directory / "state.db") as state:
        for at in range(int(NOW - DAY), int(NOW), 60):
            busy = 0.9 if NOW - 5 * HOUR < at < NOW - 4 * HOUR else 0.2
            judge(state, settings.alerts, {"cpu"}, [condition(cpu, 100 * busy)], moment(at))
            free = 100 * GIB - (at - (NOW - DAY)) / DAY * 80 * GIB
            collector.take(
                [
                    Sample("wbagent_cpu_busy_ratio", busy),
                    Sample("wbagent_disk_free_bytes", free, DISK),
                    Sample("wbagent_disk_size_bytes", 120 * GIB, DISK),
                ],
                at,
            )
        collector.store(directory / "samples.db", moment(NOW))
        path = directory / "server" / "history.jsonl"
        history.append(Record(NOW - 20 * HOUR, Reason.READY, "ready after 3s", "one"), path)
        history.append(Record(NOW - 10 * HOUR, Reason.OUT_OF_MEMORY, "the container <was> killed", "one"), path)
        history.append(Record(NOW - 10 * HOUR + 90, Reason.READY, "ready after 3s", "two"), path)
        return gather(settings, state, NOW - DAY, NOW)


def test_what_is_silenced_is_on_the_page(report: Report) -> None:
    quiet = replace(report, firing=(), silenced=("CPU at 40 % or more",))
    assert "fires now, silenced: CPU at 40 % or more" in page(quiet)
    assert "no alert fires" not in page(quiet)
    assert "no alert fires" in page(replace(quiet, silenced=()))


def test_what_is_gathered(report: Report) -> None:
    assert report.bucket_s == 60
    assert len(report.cpu) == 1440
    (mark,) = report.cpu_firing
    assert (mark.began, mark.ended) == pytest.approx((NOW - 5 * HOUR + 360, NOW - 4 * HOUR + 120), abs=61)
    (outage,) = report.outages
    assert (outage.lasted, report.down_s) == ("1min 30s", 90.0)
    assert report.available == pytest.approx(1 - 90 / (20 * HOUR))
    (disk,) = report.disks
    assert disk.path == "/var/lib/mysql"
    assert re.fullmatch(r"Full in (5h 5\dmin|6h( \d+min)?) if it goes on like this.", disk.forecast)
    assert report.backups_problem == "no backups are configured on this host"
    assert [alert.why for alert in report.alerts] == ["CPU at 40 % or more for 5min"]


def test_a_months_page_has_the_forecast_too(report: Report, directory: Path) -> None:
    """Its charts are in hours, which is too coarse for the trend of the last six."""
    with State(directory / "state.db") as state:
        month = gather(Settings(), state, NOW - 30 * DAY, NOW)
    assert month.bucket_s == 3600
    assert month.disks[0].forecast == report.disks[0].forecast


def test_texts_from_elsewhere_are_texts_and_nothing_is_loaded_from_elsewhere(report: Report) -> None:
    text = page(report)
    assert "the container &lt;was&gt; killed" in text
    assert not re.findall(r"(?:src|href)\s*=|url\(|@import|<script", text)


class Browser:
    """A real browser in a tree of its own, without network."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def run(self, *options: str, name: str = "page.html") -> str:
        tree = root_file_system(BROWSER)
        command = ["systemd-nspawn", "--quiet", f"--directory={tree}", "--read-only", "--tmpfs=/tmp", "--tmpfs=/root"]
        command += ["--private-network", "--register=no", "--keep-unit", f"--bind={self.directory}:/mnt", "--pipe"]
        command += ["chromium-headless-shell", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", *options]
        return subprocess.run(
            [*command, f"file:///mnt/{name}"], capture_output=True, text=True, timeout=120, check=True
        ).stdout

    def screenshot(self, width: int, *options: str) -> Image.Image:
        self.run(f"--window-size={width},1400", "--screenshot=/mnt/shot.png", *options)
        return Image.open(BytesIO((self.directory / "shot.png").read_bytes())).convert("RGB")

    def measure(self, width: int, script: str) -> str:
        """What an expression gives in the page."""
        text = (self.directory / "page.html").read_text()
        (self.directory / "measured.html").write_text(f"{text}<script>document.title = {script}</script>")
        found = re.search(
            r"<title>(.*?)</title>", self.run(f"--window-size={width},1400", "--dump-dom", name="measured.html")
        )
        assert found
        return found[1]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory, report: Report) -> Browser:
    directory = tmp_path_factory.mktemp("browser")
    (directory / "page.html").write_text(page(report))
    return Browser(directory)


def colours(image: Image.Image) -> set[tuple[int, ...]]:
    return {colour for _, colour in image.getcolors(image.width * image.height) or [] if isinstance(colour, tuple)}


@pytest.mark.parametrize(
    ("options", "paper", "line"),
    [
        ((), (255, 255, 255), (31, 111, 178)),
        (("--blink-settings=preferredColorScheme=0",), (20, 23, 28), (108, 178, 235)),
    ],
    ids=["light", "dark"],
)
def test_light_and_dark(
    browser: Browser, options: tuple[str, ...], paper: tuple[int, ...], line: tuple[int, ...]
) -> None:
    """The page has its own colours on its own ground, and its charts are drawn."""
    image = browser.screenshot(1000, *options)
    assert image.getpixel((2, 2)) == paper
    assert line in colours(image)
    red = [(x, y) for y in range(image.height) for x in range(image.width) if _reddish(image.getpixel((x, y)), paper)]
    # The dashed line of the limit runs across the chart.
    assert max(x for x, _ in red) - min(x for x, _ in red) > 500


def _reddish(pixel: object, paper: tuple[int, ...]) -> bool:
    assert isinstance(pixel, tuple)
    return pixel != paper and pixel[0] > pixel[1] + 60 and pixel[0] > pixel[2] + 60


@pytest.mark.parametrize("width", [500, 1000])
def test_nothing_sticks_out_and_every_chart_has_its_size(browser: Browser, width: int) -> None:
    sizes = browser.measure(
        width,
        "[document.documentElement.scrollWidth, innerWidth,"
        " Math.min(...[...document.querySelectorAll('svg')].map(chart => chart.getBoundingClientRect().width))].join()",
    )
    whole, window, narrowest = (float(number) for number in sizes.split(","))
    assert whole <= window == width
    # Narrower ones could not be read; on a phone they scroll within their card.
    assert narrowest >= 540


def test_in_print(browser: Browser) -> None:
    browser.run("--print-to-pdf=/mnt/page.pdf")
    pdf = (browser.directory / "page.pdf").read_bytes()
    assert pdf.startswith(b"%PDF-")
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b", pdf)) <= 4


def test_backups_stand_with_their_colours(report: Report, tmp_path: Path) -> None:
    rows = tuple(
        BackupRow(f"2026112{number}T030000Z", NOW - number * HOUR, 10**9, 3 * 10**9, 40.0, standing, kind)
        for number, (standing, kind) in enumerate([("proven", "good"), ("committed", "doubt"), ("bad: lost", "bad")])
    )
    whole = Report(**{name: getattr(report, name) for name in report.__slots__} | {"backups": rows})
    (tmp_path / "page.html").write_text(page(whole))
    seen = Browser(tmp_path).measure(
        1000,
        "[...document.querySelectorAll('svg rect[class=good], svg rect[class=bad], svg rect[class=doubt]')].length",
    )
    # Three bars; in the strip of the server its time and its outage.
    assert seen == "5"


def test_an_empty_host_has_a_page_too(tmp_path: Path) -> None:
    with State(tmp_path / "state.db") as state:
        empty = gather(Settings(), state, NOW - DAY, NOW)
    text = page(empty)
    assert text.count("No samples of this time.") == 2
    assert "None has fired." in text


def test_a_link_that_somebody_put_in_the_directory_is_not_followed(tmp_path: Path) -> None:
    """As in /tmp, where root may well look at a host."""
    (tmp_path / "wbagent.toml").touch(0o600)
    with State(tmp_path / "state.db"):
        pass
    victim = tmp_path / "victim"
    victim.write_text("as it was")
    for name in (".report.html.new", "report.html"):
        (tmp_path / name).symlink_to(victim)
    command = [sys.executable, "-m", "wbagent.cli.main", "--config", str(tmp_path / "wbagent.toml")]
    subprocess.run(
        [*command, "report", "-o", str(tmp_path / "report.html")],
        env=os.environ | {"WBAGENT_STATE_DIRECTORY": str(tmp_path)},
        check=True,
        stdin=subprocess.DEVNULL,
    )
    assert victim.read_text() == "as it was"
    assert "<html" in (tmp_path / "report.html").read_text()
    assert not (tmp_path / "report.html").is_symlink()
