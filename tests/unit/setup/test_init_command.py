"""`wbagent init` without a terminal, into a file of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from wbagent.cli.main import cli
from wbagent.config import load
from wbagent.errors import UsageError, WbagentError

# Nobody listens there, which is as it should be before the server runs.
OPTIONS = ["--host", "http://127.0.0.1:9", "--image", "wandb/local:0.83.0", "--storage", "embedded"]


def run(*arguments: str, text: str = "") -> Result:
    return CliRunner().invoke(cli, ["init", *arguments], input=text)


def refused(result: Result) -> WbagentError:
    assert isinstance(result.exception, WbagentError)
    return result.exception


def test_everything_goes_into_the_file(tmp_path: Path) -> None:
    path = tmp_path / "new.toml"
    result = run(
        *OPTIONS,
        "--license-file",
        "-",
        "--into",
        str(path),
        text="aaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbb.cccccccccccccccc\n",
    )
    assert result.exit_code == 0, result.output
    assert "aaaa" not in result.output
    settings = load(path).settings
    assert settings.server
    assert settings.server.embedded
    assert settings.server.license
    assert settings.server.license.get_secret_value().startswith("aaaa")
    assert path.read_text().count("\n") > 300
    again = refused(run(*OPTIONS, "--into", str(path)))
    assert "exists, and stays as it is" in again.message


def test_a_secret_in_place_of_a_file_is_refused_and_not_repeated(tmp_path: Path) -> None:
    result = run(*OPTIONS, "--destination-file", "s3://KEY:s3cret@h/bucket", "--into", str(tmp_path / "new.toml"))
    error = refused(result)
    assert error.exit_status == 64
    assert "every user of this host can read a command line" in error.message
    assert "s3cret" not in result.output + error.message + error.hint


def test_standard_input_gives_one_answer(tmp_path: Path) -> None:
    files = ["--license-file", "-", "--alerts-file", "-"]
    assert "one answer only" in refused(run(*OPTIONS, *files, "--into", str(tmp_path / "new.toml"))).message


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--host", "http://127.0.0.1:9"], "--image IMAGE --mysql-file FILE --bucket-file FILE"),
        ([*OPTIONS, "--mysql-file", "-"], "leave it out"),
        (["--host", "wandb.example.com"], "wbagent init --help"),
    ],
)
def test_answers_that_make_no_sense_are_told_with_what_to_do(tmp_path: Path, options: list[str], told: str) -> None:
    path = tmp_path / "new.toml"
    error = refused(run(*options, "--into", str(path), text="mysql://u:p@h/d"))
    assert isinstance(error, UsageError)
    assert told in error.hint
    assert not path.exists()


def test_an_answer_that_does_not_pass_is_taken_only_when_told_so(tmp_path: Path) -> None:
    path = tmp_path / "new.toml"
    options = [*OPTIONS, "--license-file", "-", "--into", str(path)]
    failed = run(*options, text="short")
    assert "PROBLEM: a licence is longer than 5 characters" in failed.output
    assert refused(failed).exit_status == 69
    assert not path.exists()
    assert run(*options, "--keep", text="short").exit_code == 0
    assert path.exists()


def test_only_this_hosts_file_is_filled_in(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["--config", str(tmp_path / "x.toml"), "init", *OPTIONS])
    assert "--into" in refused(result).hint
