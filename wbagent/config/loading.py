"""Reads every layer into Settings, or says in one line each what is wrong where."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from wbagent.config.connection_string import MASK
from wbagent.config.dsn import S3URL, MysqlURL
from wbagent.config.layers import (
    SECRET_KEYS,
    KeyPath,
    Layer,
    Origin,
    credential_layer,
    file_layer,
    grant_reading,
    readable_by_others,
    stored_layer,
)
from wbagent.config.model import Settings
from wbagent.config.sources import configuration_files, credentials_directory
from wbagent.errors import AccessError, ConfigError

# What pydantic calls a number that is out of its range: the name of the bound, and words for it.
_BOUNDS: Final = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "more than"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "less than"),
}
# The size of a directory without any names in tmpfs, which systemd keeps credentials in.
_EMPTY: Final = 40
_AGENTS_OWN: Final = Path("/run/credentials/wbagent.service")
DEFAULT_PATH: Final = Path("/etc/wbagent.toml")


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings, and for each key that was set the place that set it."""

    settings: Settings
    origins: Mapping[KeyPath, Origin]


class SealedError(AccessError):
    """A part of the configuration is in credentials, which this user may not read."""


class _LayerSource(PydanticBaseSettingsSource):
    """Gives pydantic-settings one layer; it merges the layers deeply, the first one winning."""

    def __init__(self, settings_class: type[BaseSettings], layer: Layer) -> None:
        super().__init__(settings_class)
        self._tree = layer.tree

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return self._tree.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return self._tree


def load(
    path: Path = DEFAULT_PATH,
    credentials: Path | None = None,
    *,
    only: str = "",
    may_be_absent: bool = False,
    sealed: bool = False,
) -> Loaded:
    """Read `path`, then `path`.d/*.toml in order, then credentials; a later one wins key by key.

    With `only` the other sections are passed over: a mistake in [backup] is no reason for the server to stay down.
    `may_be_absent`: a `path` that is not there sets nothing. `sealed`: without credentials, and
    so without mysql and bucket of [server], where the files do not name them.
    Raises ConfigError whose `problems` has one line for each thing to mend, secrets masked; SealedError where there are
    credentials that this user may not read; AccessError for such a file.
    """
    files = [file for file in configuration_files(path) if not may_be_absent or os.path.lexists(file)]
    layers = [file_layer(file) for file in files]
    layers.append(_stand_ins(layers) if sealed else _credentials(credentials or credentials_directory(), layers, only))
    if only:
        layers = [Layer({only: layer.tree[only]} if only in layer.tree else {}, layer.origins) for layer in layers]
    origins = {key: origin for layer in layers for key, origin in layer.origins.items()}

    class Sourced(Settings):
        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], *_args: object, **_kwargs: object
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return tuple(_LayerSource(settings_cls, layer) for layer in reversed(layers))

    try:
        settings = Sourced()
    except ValidationError as error:
        problems = tuple(_problem(details, origins, path) for details in error.errors())
        raise ConfigError(
            problems[0] if len(problems) == 1 else f"{len(problems)} problems in the configuration",
            hint="mend it, then run: wbagent config check",
            problems=problems,
        ) from None
    for file, layer in zip(files, layers, strict=False):
        _refuse_open_secrets(file, layer)
    if sealed and settings.server:
        unknown = dict.fromkeys(layers[-1].tree.get("server", ()))
        settings = settings.model_copy(update={"server": settings.server.model_copy(update=unknown)})
    return Loaded(settings, origins)


def _stand_ins(files: Sequence[Layer]) -> Layer:
    """What [server] lacks where that is in credentials, so that the rest of it counts; nobody gets to see these."""
    tables = [each.tree["server"] for each in files if isinstance(each.tree.get("server"), dict)]
    if not tables or any(table.get("embedded") for table in tables):
        return Layer({})
    needed = {"mysql": MysqlURL.example, "bucket": S3URL.example}
    return Layer({"server": {key: text for key, text in needed.items() if not any(key in table for table in tables)}})


def _credentials(directory: Path | None, files: Sequence[Layer], only: str) -> Layer:
    """What systemd handed over; typed by hand nothing is, and root reads the host's stores. Others raise SealedError.

    Secrets of [server] count beside a file's [server] only: alone they make no whole section, and so `wbagent init` can
    put them in their place before the file that makes them count.
    """
    if directory is None and os.geteuid() != 0 and _agent_has_credentials():
        raise SealedError(
            "a part of the configuration is in credentials, which only root and the units may read",
            hint="run the command as root (sudo)",
        )
    layer = stored_layer(only) if directory is None and os.geteuid() == 0 else credential_layer(directory)
    if any("server" in each.tree for each in files) or {"host", "image"} & set(layer.tree.get("server", {})):
        return layer
    return Layer(
        {name: table for name, table in layer.tree.items() if name != "server"},
        {key: origin for key, origin in layer.origins.items() if key[0] != "server"},
    )


def _agent_has_credentials() -> bool:
    """As far as another user sees it, who may not list the directory; False while the agent does not run."""
    try:
        return _AGENTS_OWN.stat().st_size > _EMPTY
    except OSError:
        return False


def _refuse_open_secrets(file: Path, layer: Layer) -> None:
    secrets = [key for key in SECRET_KEYS if _holds_secret(layer, key) and layer.origins[key].source == str(file)]
    if secrets and readable_by_others(file):
        section, key = sorted(secrets)[0]
        raise ConfigError(
            f"{layer.origins[(section, key)]}: [{section}] {key} holds a secret, and every user may read the file",
            hint=grant_reading(file),
        )


def _holds_secret(layer: Layer, key: KeyPath) -> bool:
    table = layer.tree.get(key[0])
    value = table.get(key[1]) if isinstance(table, dict) else None
    if isinstance(value, list):
        return any("@" in str(item) for item in value)
    return isinstance(value, str) and ("@" in value or key[1] == "license")


def _problem(details: ErrorDetails, origins: Mapping[KeyPath, Origin], path: Path) -> str:
    # Union types add the name of the member to the location: only what the file itself can name is kept.
    key = tuple(str(part) for part in details["loc"] if isinstance(part, str) and not part[:1].isupper())
    origin = next((origins[key[:end]] for end in range(len(key), 0, -1) if key[:end] in origins), Origin(str(path)))
    section, name = ".".join(key[:-1]), key[-1] if key else ""
    where = f"{origin}: [{section}] {name}" if section else f"{origin}: {name}"
    if details["type"] == "extra_forbidden":
        import difflib  # noqa: PLC0415 - for mistakes only

        nearest = difflib.get_close_matches(name, _names(key[:-1]), n=1)
        meant = f'; did you mean "{nearest[0]}"?' if nearest else f"; known here: {', '.join(_names(key[:-1]))}"
        return f"{where}: unknown {'section' if isinstance(details['input'], dict) else 'key'}{meant}"
    if details["type"] == "missing":
        return f"{where}: is missing, and has no default"
    return f"{where} = {_shown(key, details['input'])}: {_expected(details)}"


def _expected(details: ErrorDetails) -> str:
    message = details["msg"].removeprefix("Value error, ")
    words = {
        "bool_type": "true or false",
        "int_type": "a whole number",
        "float_type": "a number",
        "string_type": "a text in quotes",
        "tuple_type": "a list",
        "dict_type": "a table",
        "model_type": "a table",
    }
    if wanted := words.get(details["type"]):
        return f"expected {wanted}"
    context = details.get("ctx", {})
    if details["type"] == "literal_error":
        return f"expected {context['expected']}".replace("'", '"')
    if bound := _BOUNDS.get(details["type"]):
        return f"expected {bound[1]} {context[bound[0]]}"
    # "Input should be…" is pydantic's; a name in capitals is the operator's.
    return message if message[:2].isupper() else message[:1].lower() + message[1:]


def _shown(key: KeyPath, value: object) -> str:
    """The value for a message: never a secret, never long."""
    # A secret key where a public one belongs is a secret all the same.
    pasted = any(word in repr(value).upper() for word in ("SECRET-KEY", "PRIVATE KEY"))
    secret = pasted or key[:2] in SECRET_KEYS or key[:2] == ("server", "env")
    return f'"{MASK}"' if secret else repr(value).replace("'", '"')[:80]


def _names(section: KeyPath) -> list[str]:
    model: type[BaseModel] = Settings
    for part in section:
        field = model.model_fields.get(part)
        inner = next((kind for kind in _models_of(field)), None) if field else None
        if inner is None:
            return []
        model = inner
    names = list(model.model_fields)
    files = [f"{key}_file" for table, key in SECRET_KEYS if section == (table,)]
    return names + sorted(files)


def _models_of(field: FieldInfo) -> Iterator[type[BaseModel]]:
    for kind in (field.annotation, *get_args(field.annotation)):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield kind
