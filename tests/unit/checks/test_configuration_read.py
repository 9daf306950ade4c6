"""The configuration as checks see it: absent, empty, refused in part, refused as a whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from wbagent.checks.areas import AREAS
from wbagent.checks.check import Subject
from wbagent.checks.configured import AREA, checks_by_area, read
from wbagent.checks.run import run
from wbagent.checks.scratch import Scratch
from wbagent.config import Settings

SERVER = """
[server]
host = "https://wandb.example.com"
image = "wandb/local:0.83.0"
bucket = "s3://KEY:BUCKETSECRET@minio.example.com:9000/files?region=us-east-1"
mysql = "mysql://wandb_local:DBSECRET@db1.example.com/wandb_local"
"""


def write(path: Path, text: str, mode: int = 0o640) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "wbagent.toml"


@pytest.mark.parametrize("text", [None, "", "# [server]\n"])
def test_nothing_is_configured(file: Path, text: str | None) -> None:
    if text is not None:
        write(file, text)
    found = read(file, may_be_absent=True)
    assert (found.settings.server, found.unread) == (None, frozenset())
    [told] = found.findings
    assert told.verdict == "note"
    assert "before an installation" in told.found


def test_environment_variables_are_no_configuration(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVER", '{"port": 1}')
    monkeypatch.setenv("BACKUP", "nonsense")
    assert read(file, may_be_absent=True).settings.server is None
    assert read(write(file, "[backup]\nkeep_days = 0\n" + SERVER), may_be_absent=True).unread == {"backup"}


def test_drop_ins_count_where_there_is_no_file(file: Path) -> None:
    (file.parent / "wbagent.toml.d").mkdir()
    write(file.parent / "wbagent.toml.d/server.toml", SERVER)
    found = read(file, may_be_absent=True)
    assert found.settings.server is not None
    assert found.findings == ()


def test_a_file_that_was_named_has_to_be_there(file: Path) -> None:
    [told] = read(file, may_be_absent=False).findings
    assert told.verdict == "fail"
    assert str(file) in told.found


def test_a_section_that_is_refused_keeps_the_others(file: Path) -> None:
    found = read(write(file, f"{SERVER}\n[backup]\nkeep_days = 0\nkeep_dais = 1\n"), may_be_absent=True)
    assert found.unread == {"backup"}
    assert found.settings.server is not None
    assert [told.verdict for told in found.findings] == ["fail", "fail"]
    assert "keep_days" in found.findings[0].found + found.findings[1].found
    assert "wbagent config check" in found.findings[-1].remedy
    assert "SECRET" not in repr(found.findings)


@pytest.mark.parametrize(
    ("text", "mode"),
    [("[server\n", 0o640), (SERVER.replace('image = "wandb/local:0.83.0"', ""), 0o640), (SERVER, 0o644)],
)
def test_what_needs_no_section_runs_all_the_same(file: Path, text: str, mode: int) -> None:
    found = read(write(file, text, mode), may_be_absent=True)
    assert "server" in found.unread
    areas = checks_by_area(["host", "docker", "server", "alerts"], found)
    assert list(areas) == [AREA, "host", "docker", "server", "alerts"]
    assert {"memory", "disk speed"} <= {check.name for check in areas["host"]}
    [of_the_file, of_the_server] = run({name: areas[name] for name in (AREA, "server")}, Subject(Settings(), Scratch()))
    assert (of_the_file.area, of_the_file.finding.verdict) == (AREA, "fail")
    assert of_the_server.finding.verdict == "note"
    assert "[server]" in of_the_server.finding.found


OPEN = """
[server]
host = "http://wandb.example.com"
image = "wandb/local:0.83.0"
port = 8123
[backup]
keep_days = 30
[monitor.cpu]
above_percent = 70
"""


@pytest.fixture
def sealed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A plain user, on a host whose agent has credentials."""
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials/wbagent.server.mysql").touch()
    # The directory's size tells in tmpfs only that there is something; elsewhere it is larger in any case.
    monkeypatch.setattr("wbagent.config.loading._AGENTS_OWN", tmp_path / "credentials")
    monkeypatch.setattr("os.geteuid", lambda: 1000)


@pytest.mark.usefixtures("sealed")
def test_without_the_credentials_what_needs_none_is_looked_at(file: Path) -> None:
    found = read(write(file, OPEN), may_be_absent=True)
    server = found.settings.server
    assert server is not None
    assert (server.host, server.port, server.mysql, server.bucket) == ("http://wandb.example.com", 8123, None, None)
    assert found.settings.monitor.cpu.above_percent == 70
    areas = checks_by_area(list(AREAS), found)
    assert list(areas) == [AREA, "host", "docker", "tls", "proxy"]
    [told] = run({AREA: areas[AREA]}, Subject(found.settings, Scratch()))
    assert (told.finding.verdict, told.finding.remedy) == ("note", "sudo wbagent check")
    assert told.finding.found == ("not looked at: server, database, bucket, backup, alerts: the credentials are root's")
    assert list(checks_by_area(["host"], found)) == ["host"]


@pytest.mark.usefixtures("sealed")
@pytest.mark.parametrize(
    "text", ["", "[database]\n", "[server]\nembedded = true\n", "[monitor]\nwrong = 1\n", "[server"]
)
def test_without_the_credentials_no_file_ends_in_an_error(file: Path, text: str) -> None:
    found = read(write(file, text), may_be_absent=True)
    assert found.settings.server is None
    assert {"host", "tls"} <= checks_by_area(list(AREAS), found).keys()


@pytest.mark.usefixtures("sealed")
def test_neither_file_nor_credentials_may_be_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise PermissionError

    monkeypatch.setattr(Path, "read_text", refuse)
    found = read(write(file, OPEN), may_be_absent=True)
    assert [(told.verdict, "may not read it" in told.found) for told in found.findings] == [("note", True)]
    assert {"host", "docker"} <= checks_by_area(list(AREAS), found).keys()
