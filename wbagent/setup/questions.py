"""What `wbagent init` asks, in which order, of which kind of host; and what a text given as an answer means."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import TypeAdapter, ValidationError

from wbagent.config.dsn import S3URL, MysqlURL, parse_server_bucket
from wbagent.config.layers import SECRET_KEYS, KeyPath
from wbagent.config.model import AlertSettings
from wbagent.config.server import PinnedImage, ServerSettings
from wbagent.setup.parts import MYSQL, S3, Parts


class Role(StrEnum):
    """What a host does."""

    SERVER = "server"
    DATABASE = "database"
    BOTH = "both"


class Storage(StrEnum):
    """Where the server keeps its data."""

    EXTERNAL = "external"
    EMBEDDED = "embedded"


# The text of each answer that was given, as it is to be written; None: passed over.
Answers = Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Question:
    """One question. `read` gives the text to be written, or raises ValueError, which never repeats a secret.

    `name` is also the option's. `key` is where the answer goes; a question without one steers the others. `parts`: it
    can be asked for part by part.
    """

    name: str
    asks: str
    explains: str
    read: Callable[[str], str]
    key: KeyPath = ()
    choices: tuple[str, ...] = ()
    default: str = ""
    needed: bool = True
    roles: frozenset[Role] = frozenset(Role)
    external_only: bool = False
    parts: Parts | None = None

    @property
    def secret(self) -> bool:
        """Whether the answer is, or may hold, a secret: it is not echoed, and goes to the credentials."""
        return self.key in SECRET_KEYS

    @property
    def asks_others(self) -> bool:
        """Whether other machines are asked to try the answer, which may take a while."""
        return self.name in {"host", "mysql", "bucket", "database", "destination"}

    def applies(self, answers: Answers) -> bool:
        """Whether it is to be asked, as far as is known by now."""
        role = answers.get("role")
        if role is not None and Role(role) not in self.roles:
            return False
        return not (self.external_only and answers.get("storage") == Storage.EMBEDDED)


def _field(model: type[Any], name: str) -> Callable[[str], str]:
    """The check that the configuration itself makes of this key."""
    field = model.model_fields[name]
    adapter: TypeAdapter[str] = TypeAdapter(Annotated[str, *field.metadata])
    return lambda text: _validated(adapter, text)


def _validated(adapter: TypeAdapter[str], text: str) -> str:
    try:
        return adapter.validate_python(text)
    except ValidationError as error:
        raise ValueError(error.errors()[0]["msg"].removeprefix("Value error, ")) from None


def _server_mysql(text: str) -> str:
    url = MysqlURL.parse(text)
    if url.socket:
        raise ValueError("socket= is a path of this host, which the container does not see; name host and port")
    return str(url)


def _licence(text: str) -> str:
    if any(character.isspace() for character in text):
        raise ValueError("a licence is one word without spaces or line ends; this is several")
    return text


def _alerts(text: str) -> str:
    try:
        return " ".join(url.get_secret_value() for url in AlertSettings.model_validate({"to": text}).to)
    except ValidationError as error:
        raise ValueError(error.errors()[0]["msg"].removeprefix("Value error, ")) from None


def _one_of(*choices: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        # The first letters are enough, where only one choice begins with them.
        found = [choice for choice in choices if choice.startswith(text.lower())]
        if len(found) != 1:
            raise ValueError(f"expected one of {', '.join(choices)}")
        return found[0]

    return read


_SERVERS: Final = frozenset({Role.SERVER, Role.BOTH})

QUESTIONS: Final = (
    Question(
        "role",
        "What does this host do",
        "server: it runs W&B's container, and MySQL is elsewhere. database: it runs MySQL, for backups and alerts. "
        "both: it runs the two.",
        _one_of(*Role),
        choices=tuple(Role),
        default=Role.SERVER,
    ),
    Question(
        "host",
        "The address that users open",
        "HOST of the server, such as https://wandb.example.com, without a path. The certificate is the proxy's, in"
        " front of this host's port 8080; W&B does not support self-signed ones.",
        _field(ServerSettings, "host"),
        key=("server", "host"),
        roles=_SERVERS,
    ),
    Question(
        "image",
        "The image of the server, with its release",
        "Such as wandb/local:0.83.0. Not latest: that would upgrade the server by surprise.",
        lambda text: _validated(TypeAdapter(PinnedImage), text),
        key=("server", "image"),
        roles=_SERVERS,
    ),
    Question(
        "storage",
        "Where the server keeps its data",
        "external: in a MySQL and an S3 bucket of your own, as W&B's guide asks for. embedded: in those of its"
        " image, in a Docker volume: for trials, not for production; `wbagent server externalize` moves it out later.",
        _one_of(*Storage),
        choices=tuple(Storage),
        default=Storage.EXTERNAL,
        roles=_SERVERS,
    ),
    Question(
        "mysql",
        "The server's database",
        f"A connection string such as {MysqlURL.example}; special"
        " characters of the password as %XX (@ is %40, : is %3A, / is %2F, + is %2B, % is %25). As the container"
        " sees it: localhost would be the container. `wbagent database init` makes database and account.",
        _server_mysql,
        parts=MYSQL,
        key=("server", "mysql"),
        roles=_SERVERS,
        external_only=True,
    ),
    Question(
        "bucket",
        "The server's bucket",
        f"A connection string such as {S3URL.example}. "
        "Without tls=true it is spoken to in plain HTTP. One that is not there yet can be made then, with its keys.",
        lambda text: str(parse_server_bucket(text)),
        parts=S3,
        key=("server", "bucket"),
        roles=_SERVERS,
        external_only=True,
    ),
    Question(
        "license",
        "The licence",
        "The key as W&B gave it to you, one long word (LICENSE of the container). It can be added later.",
        _licence,
        key=("server", "license"),
        needed=False,
        roles=_SERVERS,
    ),
    Question(
        "database",
        "The account for backups",
        "A connection string of MySQL such as mysql://wandb_backup:PASSWORD@127.0.0.1/wandb_local, from this host; "
        "?socket=/run/mysqld/mysqld.sock is known too. `wbagent database user` makes the account. Without one the"
        " server's own account makes the backups.",
        lambda text: str(MysqlURL.parse(text)),
        parts=MYSQL,
        key=("database", "url"),
        needed=False,
        external_only=True,
    ),
    Question(
        "destination",
        "The bucket for backups",
        "s3://KEY:SECRET@offsite.example.com/wandb-backups/THIS_HOST?region=eu-west-1&tls=true, on other machines than"
        " the server's (W&B's guide: a separate facility). Without it backups stay on this host and die with it.",
        lambda text: str(S3URL.parse(text)),
        parts=S3,
        key=("backup", "destination"),
        needed=False,
    ),
    Question(
        "alerts",
        "Who is told when something is wrong",
        "Apprise URLs with a space between them, such as mailto://USER:PASSWORD@mail.example.com?to=ops@example.com "
        "(https://github.com/caronc/apprise/wiki). Without any, alerts go to the journal only.",
        _alerts,
        key=("alerts", "to"),
        needed=False,
    ),
)

NAMED: Final = {question.name: question for question in QUESTIONS}


def needed(question: Question, answers: Answers) -> bool:
    """Whether nothing can be written without an answer to it: a database host has no other account to back up with."""
    return question.needed or (question.name == "database" and answers.get("role") == Role.DATABASE)


def next_question(answers: Answers) -> Question | None:
    """The first that applies and has no answer yet; None when all is known."""
    return next((each for each in QUESTIONS if each.name not in answers and each.applies(answers)), None)


def without_last(answers: Answers, given: Set[str] = frozenset()) -> dict[str, str | None]:
    """The answers before the last one, for a person who goes back: its question is the next one then.

    What was `given` otherwise stays, since nobody was asked for it.
    """
    asked = [each.name for each in QUESTIONS if each.name in answers and each.name not in given]
    return {name: text for name, text in answers.items() if name not in asked[-1:]}
