"""Reading the configuration: layers, their order, and one clear line for each mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from wbagent.config import Loaded, load
from wbagent.config.embedded import MYSQL
from wbagent.errors import EX_CONFIG, ConfigError

SERVER = """
[server]
host = "https://wandb.example.com"
image = "wandb/local:0.83.0"
bucket = "s3://KEY:BUCKETSECRET@minio.example.com:9000/files?region=us-east-1"
mysql = "mysql://wandb_local:DBSECRET@db1.example.com/wandb_local"
"""

EMBEDDED = """[server]
host = "https://wandb.example.com"
image = "wandb/local:0.83.0"
embedded = true
"""


def write(path: Path, text: str, mode: int = 0o640) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "wbagent.toml.d").mkdir()
    return tmp_path / "wbagent.toml"


def problems(file: Path, text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load(write(file, text))
    assert caught.value.exit_status == EX_CONFIG
    told = caught.value.problems or (caught.value.message,)
    shown = " ".join((*told, caught.value.message, caught.value.hint))
    assert "DBSECRET" not in shown
    assert "BUCKETSECRET" not in shown
    return told


def test_an_empty_file_is_a_configuration(file: Path) -> None:
    settings = load(write(file, "")).settings
    assert settings.server is None
    assert settings.database_url() is None
    assert (settings.monitor.cpu.above_percent, settings.monitor.cpu.for_minutes, settings.backup.keep_days) == (
        40,
        5,
        7,
    )


def test_the_guides_defaults(file: Path) -> None:
    server = load(write(file, SERVER)).settings.server
    assert server is not None
    assert server.probes.startup_failures * server.probes.startup_period == 600
    assert (server.cpus, server.memory, server.port) == (4, 8 * 1024**3, 8080)
    assert server.aws_region == "us-east-1"


def test_later_layers_win_key_by_key(file: Path, tmp_path: Path) -> None:
    write(file, SERVER + '\n[backup]\nat = "01:00"\nkeep_days = 9\n')
    write(file.with_name("wbagent.toml.d") / "20-late.toml", '[backup]\nat = "03:30"\n')
    write(file.with_name("wbagent.toml.d") / "10-early.toml", '[backup]\nat = "02:00"\n')
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    write(credentials / "wbagent.server.license", "LICENCE\n", 0o400)
    write(credentials / "wbagent.server.env.OIDC_SECRET", "x", 0o400)
    loaded = load(file, credentials)
    assert (loaded.settings.backup.at, loaded.settings.backup.keep_days) == ("03:30", 9)
    assert origin(loaded, "backup", "at").endswith("20-late.toml:2")
    assert origin(loaded, "backup", "keep_days").endswith("wbagent.toml:10")
    assert loaded.settings.server is not None
    assert loaded.settings.server.license is not None
    assert loaded.settings.server.license.get_secret_value() == "LICENCE"
    assert loaded.settings.server.env == {"OIDC_SECRET": "x"}
    assert origin(loaded, "server", "license") == "credential wbagent.server.license"


def origin(loaded: Loaded, *key: str) -> str:
    return str(loaded.origins[key])


def test_a_secret_in_a_file_of_its_own(file: Path, tmp_path: Path) -> None:
    secret = write(tmp_path / "mysql", "mysql://u:p@h/db\n", 0o400)
    write(file, f'[database]\nurl_file = "{secret}"\n')
    loaded = load(file)
    assert str(loaded.settings.database_url()) == "mysql://u:p@h:3306/db"
    assert origin(loaded, "database", "url") == str(secret)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (SERVER.replace("image", "imagee"), ':4: [server] imagee: unknown key; did you mean "image"?'),
        ("[servr]\n", ':1: servr: unknown section; did you mean "server"?'),
        ("[backup]\nkeep_days = \"7\"\n", ':2: [backup] keep_days = "7": expected a whole number'),
        ("[backup]\nenabled = 1\n", ":2: [backup] enabled = 1: expected true or false"),
        ("[backup]\nat = \"3 o'clock\"\n", ":2: [backup] at = "),
        ("[monitor.cpu]\nabove_percent = 400\n", ":2: [monitor.cpu] above_percent = 400: "),
        ('[monitor.cpu]\nsample_every = "5 parsecs"\n', 'unknown unit "parsecs"'),
        ('[server]\nhost = "https://w.example.com"\n', ":1: [server] image: is missing"),
        (EMBEDDED.replace("true", "false"), ":1: [server] mysql: is missing, and has no default"),
        (EMBEDDED.replace("true", "false"), ":1: [server] bucket: is missing, and has no default"),
        (EMBEDDED + 'mysql = "mysql://u:DBSECRET@h/db"\n', ':5: [server] mysql = "***": embedded = true runs'),
        (EMBEDDED + 'redis = "redis://h"\n', "embedded = true runs the server's own one"),
        (EMBEDDED.replace("true", '"yes"'), ':4: [server] embedded = "yes": expected true or false'),
        (SERVER.replace("/wandb_local\"", "/wandb_local?socket=/run/m\""), "the container does not see"),
        ('[database]\nurl = "mysql://u:p@h/db?socket=m"\n', "absolute path of a Unix socket"),
        (SERVER.replace(":0.83.0", ":latest"), "upgrades the server by surprise"),
        (SERVER.replace(":0.83.0", ""), "with its tag or digest"),
        (SERVER.replace("DBSECRET", "+DBSECRET"), ':6: [server] mysql = "***": '),
        (SERVER.replace("BUCKETSECRET", "/BUCKETSECRET"), "%2F"),
        (SERVER.replace("/files", ""), "names no bucket"),
        (SERVER.replace("s3://KEY:BUCKETSECRET@", "gcs://"), 'did you mean "gs://"'),
        (SERVER + 'user = "1000"\n', "at least 100000"),
        (SERVER + '[server.env]\nMYSQL = "x"\n', '"***": MYSQL is set by a key of [server]'),
        ('[backup]\npart_size = "1K"\n', "part_size"),
        (EMBEDDED.replace("https://", "https://w.."), "a part that is empty"),
        (EMBEDDED.replace('.com"', '.com:70000"'), "a port from 1 to 65535"),
        ('[alerts]\nto = ["not a url"]\n', "Apprise"),
        ('[alerts]\nping_agent = "https://[::1/x"\n', "https://hc-ping.com/UUID"),
        ("[backup\n", "line 1, column"),
        ("a = " + "[" * 3000 + "]" * 3000, "hundreds of tables in each other"),
        ("[backup]\nkeep_days = " + "9" * 5000, "thousands of digits"),
        ('[backup]\npart_size = "' + "9" * 400 + 'G"', 'a size such as "512M"'),
        ('[alerts]\nto_file = "/a\\u0000b"', "is no text in UTF-8"),
        ('[monitor.cpu]\nsample_every = "1ms"', "expected at least 1"),
        ('[alerts]\nping_every = "1ms"', "expected at least 1"),
        ("[monitor.cpu]\n[alerts]\n[monitor.cpu]\n", "line 3, column 13: the section [monitor.cpu] stands twice"),
        ('[database]\nurl = "mysql://u:p@h/db"\nurl_file = "/x"\n', "has both url and url_file"),
        ('[database]\nurl_file = "/nonexistent/secret"\n', "cannot be read"),
    ],
)  # fmt: skip
def test_one_line_for_each_mistake(file: Path, text: str, told: str) -> None:
    assert any(told in line for line in problems(file, text)), problems(file, text)
    assert str(file) in problems(file, text)[0]


def test_several_mistakes_are_told_at_once(file: Path) -> None:
    told = problems(file, '[backup]\nkeep_days = 0\nat = "25:00"\nfoo = 1\n')
    assert len(told) == 3


def test_a_secret_that_others_may_read_is_refused(file: Path, tmp_path: Path) -> None:
    write(file, SERVER, 0o644)
    with pytest.raises(ConfigError, match="every user may read") as caught:
        load(file)
    assert "chmod 0640" in caught.value.hint
    secret = write(tmp_path / "mysql", "mysql://u:p@h/db\n", 0o644)
    assert "every user of this host may read it" in problems(file, f'[database]\nurl_file = "{secret}"\n')[0]
    write(file, '[backup]\nat = "04:00"\n', 0o644)
    assert load(file).settings.backup.at == "04:00"


def test_a_mistake_in_one_section_leaves_the_others_readable(file: Path) -> None:
    write(file, SERVER + "\n[backup]\nkeep_dayss = 1\n")
    server = load(file, only="server").settings.server
    assert server is not None
    assert server.image == "wandb/local:0.83.0"
    with pytest.raises(ConfigError, match="keep_dayss"):
        load(file)
    with pytest.raises(ConfigError, match="2 problems"):
        load(write(file, SERVER.replace("image", "imagee")), only="server")


def test_an_embedded_server_needs_neither_database_nor_bucket(file: Path) -> None:
    settings = load(write(file, EMBEDDED)).settings
    assert settings.database_url() == MYSQL
    assert settings.files_socket() == Path("/run/wbagent/files.sock")
    elsewhere = load(write(file, EMBEDDED + '[database]\nurl = "mysql://u:p@h/db"\n')).settings
    assert elsewhere.files_socket() is None
    assert load(write(file, SERVER)).settings.files_socket() is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[backup]\nengine = "mysqlpump"', 'expected "auto", "clone", "mydumper" or "mysqldump"'),
        ('[backup]\nrequest_checksum_calculation = "never"', 'expected "when_supported" or "when_required"'),
        ('[backup]\nclone_directory = "clones"', "expected the absolute path of a directory"),
        ('[metrics]\ntextfile = "/run/wbagent.txt"', "expected an absolute path that ends in .prom"),
        ("[backup]\nkeep_days = 0", "expected at least 1"),
        ("[backup]\nkeep_days = 5000", "expected at most 3650"),
        ("[monitor.cpu]\nabove_percent = 0.0", "expected more than 0"),
        ("[monitor.cpu]\nabove_percent = 100.0", "expected less than 100"),
        ("[backup]\ndrill = 5", "expected a table"),
    ],
)
def test_what_was_expected_is_said_in_words(file: Path, text: str, told: str) -> None:
    (problem,) = problems(file, text)
    assert told in problem
    assert "nput should" not in problem
