"""The manual pages and the installed configuration say what the program knows: every key, default, command, status."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import click
import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from wbagent import errors
from wbagent.checks.areas import AREAS, checks_of
from wbagent.cli.main import cli
from wbagent.config import Settings, load
from wbagent.config.layers import SECRET_KEYS, KeyPath
from wbagent.config.template import template
from wbagent.monitor.metric_names import HELP
from wbagent.quantities import parse_duration, parse_size

MANUAL = Path(__file__).parents[2] / "docs/man"


def _keys(model: type[BaseModel], above: KeyPath = ()) -> Iterator[tuple[KeyPath, FieldInfo]]:
    for name, field in model.model_fields.items():
        inner = [kind for kind in (field.annotation, *get_args(field.annotation)) if isinstance(kind, type)]
        model_inside = next((kind for kind in inner if issubclass(kind, BaseModel)), None)
        if model_inside:
            yield from _keys(model_inside, (*above, name))
        else:
            yield (*above, name), field


KEYS = dict(_keys(Settings))
NAMES = [".".join(key) for key in KEYS]


def _section_of_the_manual(section: KeyPath) -> str:
    text = (MANUAL / "wbagent.toml.5.md").read_text()
    found = re.search(rf"^# \[{re.escape('.'.join(section))}\]\n(.*?)(?=^# )", text, re.MULTILINE | re.DOTALL)
    assert found, f"wbagent.toml(5) has no section [{'.'.join(section)}]"
    return found[1]


@pytest.mark.parametrize("key", KEYS, ids=NAMES)
def test_every_key_is_in_the_manual(key: KeyPath) -> None:
    if KEYS[key].annotation in (dict[str, str], dict[str, float]):
        assert _section_of_the_manual(key)
        return
    section = _section_of_the_manual(key[:-1])
    assert re.search(rf"^(\*\*.*, )?\*\*{key[-1]}\*\*", section, re.MULTILINE)
    if key in SECRET_KEYS:
        assert f"**{key[-1]}_file**" in section


@pytest.mark.parametrize("key", KEYS, ids=NAMES)
def test_defaults_in_the_manual_are_true(key: KeyPath) -> None:
    default = KEYS[key].default
    if KEYS[key].annotation == dict[str, str] or not isinstance(default, bool | int | float | str):
        return
    shown = re.search(rf"\*\*{key[-1]}\*\* = ([^,\n]+)", _section_of_the_manual(key[:-1]))
    assert shown, f"the manual does not tell the default of {key[-1]}"
    assert _as_read(KEYS[key], tomllib.loads(f"value = {shown[1]}")["value"]) == default


def _as_read(field: FieldInfo, value: Any) -> Any:
    validators = [getattr(item, "func", None) for item in field.metadata]
    if parse_duration in validators:
        return parse_duration(value)
    return parse_size(value) if parse_size in validators else value


def _uncommented() -> str:
    return re.sub(r"^#(?=[^ #\n])", "", template(), flags=re.MULTILINE)


def test_template_as_installed_sets_nothing() -> None:
    assert tomllib.loads(template()) == {}


def test_template_uncommented_is_a_valid_configuration_with_every_key(tmp_path: Path) -> None:
    path = tmp_path / "wbagent.toml"
    path.write_text(_uncommented())
    path.chmod(0o640)
    loaded = load(path)
    assert [name for key, name in zip(KEYS, NAMES, strict=True) if key not in loaded.origins] == []


def test_template_shows_the_defaults() -> None:
    shown = tomllib.loads(_uncommented())
    for key, field in KEYS.items():
        if isinstance(field.default, bool | int | float | str):
            value: Any = shown
            for name in key:
                value = value[name]
            assert _as_read(field, value) == field.default, ".".join(key)


def test_template_names_the_files_and_credentials_of_secrets() -> None:
    text = template()
    for section, key in SECRET_KEYS:
        assert f"{key}_file" in text
        assert f"wbagent.{section}.{key}" in text


def _commands(group: click.Group, above: str = "wbagent") -> Iterator[str]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command
        if command.hidden:
            continue
        path = f"{above} {name}"
        yield from _commands(command, path) if isinstance(command, click.Group) else [path]


def test_every_command_is_in_the_manual() -> None:
    text = (MANUAL / "wbagent.8.md").read_text()
    commands = list(_commands(cli))
    assert [command for command in commands if f"**{command}**" not in text] == []


# Between them they have every check that looks at anything.
CONFIGURATIONS: list[dict[str, Any]] = [
    {
        "server": {
            "host": "https://wandb.example.com",
            "image": "wandb/local:0.83.0",
            "mysql": "mysql://w:SECRET@db1/wandb_local",
            "bucket": "s3://KEY:SECRET@minio.example.com/files",
        },
        "database": {"url": "mysql://b:SECRET@db1/wandb_local"},
        "backup": {"destination": "s3://KEY:SECRET@offsite.example.com/backups/web1"},
        "alerts": {"to": ["json://a.example.com"]},
    },
    {"server": {"host": "http://wandb.example.com", "image": "wandb/local:0.83.0", "embedded": True}},
    {"database": {"url": "mysql://b:SECRET@db1/wandb_local"}, "backup": {"enabled": False}},
    {},
]
# The topics of W&B's guide that checks name; what only W&B's newer documents ask for is named as such.
TOPICS = {"Container", "Probes", "User", "MySQL", "Database", "Backups", "Performance", "Monitoring", "Availability"}
TOPICS |= {"Object store", "Load balancer", "TLS", "Verify"}


@pytest.mark.parametrize("area", AREAS)
def test_every_check_is_in_the_manual_and_says_why(area: str) -> None:
    found = {each.name: each for given in CONFIGURATIONS for each in checks_of(area, Settings.model_validate(given))}
    text = (MANUAL / "wbagent.8.md").read_text()
    told = re.search(rf"^## {area}\n(.*?)(?=^##? )", text[text.index("# CHECKS") :], re.MULTILINE | re.DOTALL)
    assert told, area
    # What has nothing to look at, and only says so, has no reason either.
    looking = {name.partition(" of [")[0] for name, each in found.items() if each.why}
    named = set(re.findall(r"\*([^*]+)\*", re.sub(r"\*\*[^*]+\*\*", "", told[1])))
    assert looking - named == set()
    assert {each.section for each in found.values() if not each.section.startswith("W&B docs: ")} <= {"", *TOPICS}


def test_every_metric_is_in_the_manual() -> None:
    text = (MANUAL / "wbagent.8.md").read_text()
    section = text[text.index("# METRICS") : text.index("# OPTIONS")]
    assert [name for name in HELP if f"**{name}**" not in section] == []


def test_every_exit_status_is_in_the_manual() -> None:
    text = (MANUAL / "wbagent.8.md").read_text()
    statuses = text[text.index("# EXIT STATUS") : text.index("# FILES")]
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, errors.WbagentError):
            assert f"\n{kind.exit_status}\n:" in statuses, kind.__name__
    for status in range(3):
        assert f"\n{status}\n:" in statuses, "of wbagent check"
