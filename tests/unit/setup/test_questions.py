"""Which questions are asked of which host, in which order, and what is written for the answers."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wbagent.config import load
from wbagent.config.dsn import MysqlURL
from wbagent.config.filling import filled
from wbagent.config.template import template
from wbagent.errors import UsageError
from wbagent.setup.plan import option, plan, shown
from wbagent.setup.questions import NAMED, QUESTIONS, Answers, needed, next_question, without_last
from wbagent.setup.steps import steps

ANSWERS: dict[str, str | None] = {
    "role": "server",
    "host": "https://wandb.example.com",
    "image": "wandb/local:0.83.0",
    "storage": "external",
    "mysql": "mysql://wandb_local:s3cr%40t@db1.example.com:3306/wandb_local",
    "bucket": "s3://KEY:s3cret@minio.example.com:9000/wandb-files?region=us-east-1&tls=true",
    "license": "aaaa.bbbb.cccc",
    "database": None,
    "destination": "s3://KEY:s3cret@offsite.example.com/wandb-backups/host1?tls=true",
    "alerts": "mailto://u:s3cret@mail.example.com slack://T1/T2/T3",
}


def asked(answers: Answers) -> list[str]:
    """The names of the questions, in order, that a person with these answers is asked."""
    known: dict[str, str | None] = {}
    while question := next_question(known):
        known[question.name] = answers.get(question.name)
    return list(known)


@pytest.mark.parametrize(
    ("answers", "names"),
    [
        ({"role": "server", "storage": "external"}, [each.name for each in QUESTIONS]),
        (
            {"role": "server", "storage": "embedded"},
            ["role", "host", "image", "storage", "license", "destination", "alerts"],
        ),
        ({"role": "database"}, ["role", "database", "destination", "alerts"]),
        ({"role": "both", "storage": "external"}, [each.name for each in QUESTIONS]),
    ],
)
def test_each_kind_of_host_is_asked_what_concerns_it(answers: dict[str, str | None], names: list[str]) -> None:
    assert asked(answers) == names


def test_who_goes_back_is_asked_the_question_before() -> None:
    known: dict[str, str | None] = {}
    while question := next_question(known):
        before = dict(known)
        known[question.name] = ANSWERS[question.name]
        assert without_last(known) == before
    assert without_last({}) == {}


def test_a_change_of_the_role_leaves_out_what_was_answered_before() -> None:
    made = plan({**ANSWERS, "role": "database", "database": "mysql://b:p@127.0.0.1/wandb_local"})
    assert {key[0] for key in (*made.values, *made.secrets)} == {"database", "backup", "alerts"}


def test_secrets_go_to_the_credentials_and_nothing_else_does() -> None:
    made = plan(ANSWERS)
    assert made.values == {
        ("server", "host"): "https://wandb.example.com",
        ("server", "image"): "wandb/local:0.83.0",
    }
    assert set(made.secrets) == {
        ("server", "mysql"),
        ("server", "bucket"),
        ("server", "license"),
        ("backup", "destination"),
        ("alerts", "to"),
    }
    assert "s3cr" not in repr(made)


def test_all_in_one_file_is_a_configuration(tmp_path: Path) -> None:
    path = tmp_path / "wbagent.toml"
    path.write_text(filled(template(), plan(ANSWERS).whole()))
    path.chmod(0o600)
    settings = load(path).settings
    assert settings.server
    assert str(settings.server.mysql) == ANSWERS["mysql"]
    assert [url.get_secret_value() for url in settings.alerts.to] == str(ANSWERS["alerts"]).split()


def test_an_embedded_server_is_written_as_such() -> None:
    embedded = {**ANSWERS, "storage": "embedded"}
    made = plan(embedded)
    assert made.values["server", "embedded"] is True
    assert ("server", "mysql") not in made.secrets


@pytest.mark.parametrize(
    ("missing", "told"),
    [("host", "--host HOST"), ("mysql", "--mysql-file FILE"), ("image", "--image IMAGE")],
)
def test_what_is_missing_is_told_with_its_option(missing: str, told: str) -> None:
    with pytest.raises(UsageError) as raised:
        plan({**ANSWERS, missing: None})
    assert told in raised.value.hint
    assert option(NAMED[missing]) == told


def test_a_database_host_needs_an_account() -> None:
    assert needed(NAMED["database"], {"role": "database"})
    assert not needed(NAMED["database"], {"role": "both"})
    with pytest.raises(UsageError, match="account for backups"):
        plan({"role": "database"})


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("role", "x", "expected one of"),
        ("storage", "e", "expected one of"),
        ("host", "wandb.example.com", "address that users open"),
        ("host", "https://wandb.example.com/path", "without a path"),
        ("image", "wandb/local", "with its tag"),
        ("image", "wandb/local:latest", "by surprise"),
        ("mysql", "mysql://u:s3cr+t@h/d", "raw \\+"),
        ("mysql", "postgres://u:s3cret@h/d", "unknown scheme"),
        ("mysql", "mysql://u:s3cret@h/d?socket=/run/m.sock", "container does not see"),
        ("bucket", "s3://K:s3cret@h", "names no bucket"),
        ("destination", "gs://bucket", "unknown scheme"),
        ("license", "s3cret s3cret", "one word"),
        ("alerts", "ops@example.com", "Apprise URLs"),
    ],
)
def test_what_cannot_be_is_not_taken(name: str, text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as raised:
        NAMED[name].read(text)
    assert "s3cr" not in str(raised.value)


def test_first_letters_choose() -> None:
    assert NAMED["role"].read("d") == "database"
    assert NAMED["storage"].read("EM") == "embedded"


@pytest.mark.parametrize("question", [each for each in QUESTIONS if each.secret], ids=lambda each: each.name)
def test_an_answer_is_shown_without_its_secret(question: object) -> None:
    name = getattr(question, "name", "")
    text = ANSWERS[name] or str(ANSWERS["mysql"])
    seen = shown(NAMED[name], NAMED[name].read(text))
    assert "***" in seen or name == "alerts"
    assert not any(secret in seen for secret in ("s3cr", "aaaa", "T1"))


@given(st.text(min_size=1).filter(lambda text: not any(0xD800 <= ord(each) <= 0xDFFF for each in text)))
def test_any_password_survives_the_way_through_the_file(password: str) -> None:
    url = str(MysqlURL("wandb_local", password, "db1.example.com", 3306, "wandb_local"))
    made = plan({**ANSWERS, "mysql": NAMED["mysql"].read(url)})
    read = tomllib.loads(filled(template(), made.whole()))
    assert MysqlURL.parse(read["server"]["mysql"]).password == password


def test_what_is_left_to_do() -> None:
    server = [step.shown or " ".join(step.command) for step in steps(ANSWERS)]
    assert server == [
        "wbagent config check",
        "systemctl restart wbagent.service",
        "docker pull wandb/local:0.83.0",
        "systemctl enable --now wandb-local.service",
        "wbagent bucket cors --yes",
        "wbagent backup run",
        "wbagent check",
        "wbagent verify",
    ]
    assert [step.command[1:3] for step in steps({"role": "database"})] == [
        ("config", "check"),
        ("restart", "wbagent.service"),
        ("backup", "run"),
        ("check",),
    ]


def test_a_bucket_that_is_missing_is_made_before_it_is_needed() -> None:
    commands = [step.shown or " ".join(step.command) for step in steps(ANSWERS, {"bucket", "destination"})]
    assert commands[2:7] == [
        # That sets the CORS rule too.
        "wbagent bucket create --yes",
        "docker pull wandb/local:0.83.0",
        "systemctl enable --now wandb-local.service",
        "wbagent bucket create --backup --yes",
        "wbagent backup run",
    ]
