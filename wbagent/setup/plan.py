"""What is written for the answers: the values of the configuration file, and the secrets that are kept beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel, ValidationError

from wbagent.alerts.destination import destinations
from wbagent.config.connection_string import MASK
from wbagent.config.dsn import S3URL, MysqlURL, parse_server_bucket
from wbagent.config.layers import KeyPath
from wbagent.config.model import AlertSettings, BackupSettings, DatabaseSettings
from wbagent.config.server import ServerSettings
from wbagent.config.sources import CREDENTIAL_PREFIX
from wbagent.errors import UsageError
from wbagent.setup.questions import NAMED, QUESTIONS, Answers, Question, Storage, needed


def credential_name(key: KeyPath) -> str:
    """What a secret's credential is called."""
    return CREDENTIAL_PREFIX + ".".join(key)


@dataclass(frozen=True, slots=True)
class Plan:
    """`values` go into the file, `secrets` are the texts of credentials, both by key; no key is in both."""

    values: Mapping[KeyPath, object]
    secrets: Mapping[KeyPath, str] = field(repr=False)

    def whole(self) -> dict[KeyPath, object]:
        """All in one, for a file that holds the secrets too."""
        texts: dict[KeyPath, object] = {**self.secrets}
        if to := self.secrets.get(("alerts", "to")):
            texts["alerts", "to"] = tuple(to.split())
        return {**self.values, **texts}


def plan(answers: Answers) -> Plan:
    """The plan for these answers; those to questions that do not apply are left out.

    Raises UsageError when an answer is missing that no configuration can do without, or they make no sense together.
    """
    missing = [
        each for each in QUESTIONS if each.applies(answers) and needed(each, answers) and not answers.get(each.name)
    ]
    if missing:
        raise UsageError(
            f"no answer to: {', '.join(f'{each.asks} ({each.name})' for each in missing)}",
            hint=f"give {' '.join(option(each) for each in missing)}",
        )
    values: dict[KeyPath, object] = {}
    secrets: dict[KeyPath, str] = {}
    for question in QUESTIONS:
        text = answers.get(question.name)
        if text and question.key and question.applies(answers):
            (secrets if question.secret else values)[question.key] = text
    if NAMED["storage"].applies(answers) and answers.get("storage") == Storage.EMBEDDED:
        values["server", "embedded"] = True
    made = Plan(values, secrets)
    _check(made)
    return made


def option(question: Question) -> str:
    """The option of the command line that answers it."""
    return f"--{question.name}-file FILE" if question.secret else f"--{question.name} {question.name.upper()}"


def shown(question: Question, text: str) -> str:
    """An answer for a person to look at: never a secret."""
    match question.name:
        case "mysql" | "database":
            return MysqlURL.parse(text).masked()
        case "bucket":
            return parse_server_bucket(text).masked()
        case "destination":
            return S3URL.parse(text).masked()
        case "alerts":
            return ", ".join(each.label for each in destinations(text.split()))
        case "license":
            return f"{MASK} ({len(text)} characters)"
        case _:
            return text


_MODELS: dict[str, type[BaseModel]] = {
    "server": ServerSettings,
    "database": DatabaseSettings,
    "backup": BackupSettings,
    "alerts": AlertSettings,
}


def _check(made: Plan) -> None:
    """Each section as the configuration will read it."""
    trees: dict[str, dict[str, object]] = {}
    for (section, name), value in made.whole().items():
        trees.setdefault(section, {})[name] = value
    for section, tree in trees.items():
        try:
            _MODELS[section].model_validate(tree)
        except ValidationError as error:
            first = error.errors()[0]
            said = first["msg"].removeprefix("Value error, ")
            raise UsageError(f"[{section}] {'.'.join(str(part) for part in first['loc'][:1])}: {said}") from None
