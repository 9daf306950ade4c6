"""The commented configuration file that the package installs and `wbagent config template` prints.

It is written from the model, so that no key, default or meaning in it can differ from what the program reads.
A setting stands behind a bare `#`, prose behind `# `: taking away each bare `#` gives a complete, valid file.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any, Final, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from wbagent.config.layers import SECRET_KEYS
from wbagent.config.model import Settings
from wbagent.config.toml_text import toml_text
from wbagent.quantities import format_duration, format_size, parse_duration, parse_size

_HEAD: Final = """\
# /etc/wbagent.toml: configuration of wbagent. The whole of it is explained in wbagent.toml(5).
#
# As installed nothing is set: the agent runs and `systemctl status wbagent` says what is missing.
# `wbagent init` asks for what is needed and fills it in. By hand: to set a key, take away the # before it and before
# the [section] above it.
#   Host that runs the server:    fill in [server], then: systemctl enable --now wandb-local
#   Host that runs the database:  fill in [database] only
#   Both:                         fill in [backup] destination and [alerts] to
# Then: wbagent config check && systemctl reload wbagent
#
# In a connection string write every special character of a user or password as %XX (+ is %2B, / is %2F).
# Keep this file as it was installed, 0640 root:wbagent: it will hold passwords. Further files, read in the order of
# their names, go to /etc/wbagent.toml.d/*.toml; later ones win, key by key."""

_PROSE: Final = {
    "server": "The wandb/local container of this host. Leave it out on a host that runs only the database.",
    "server.env": "Further environment variables for the container, such as OIDC_ISSUER or LDAP settings.",
    "server.ulimits": 'Limits of the container\'s processes as Docker knows them, "SOFT:HARD"; -1 is none.',
    "server.probes": "When the server counts as started and as alive. The defaults are those of W&B's guide.",
    "database": "The account for backups, where it differs from [server] mysql (always on a database host).",
    "standby": "A replica that is to take over (the guide's hot standby): how far it is behind is watched.",
    "backup": "The daily backup. Without a destination backups stay on this host's disk and die with it.",
    "backup.binlog": "Restores to any moment: the database's binary logs are stored within seconds. Needs gtid_mode"
    " = ON, and for the account REPLICATION SLAVE and REPLICATION CLIENT.",
    "backup.drill": "The proof: after each backup it is restored into a throw-away MySQL on this host and compared.",
    "monitor.cpu": "W&B's guide: a database host above 40 % for 5 minutes is short of processors.",
    "monitor.cpu.units": "Units and slices with a threshold of their own, in percent of all processors of this host.",
    "monitor.disk": "The file systems of MySQL's data, the server's volume, Docker and the agent's state.",
    "monitor.memory": "Memory that is available, and what the kernel kills for want of it (always told).",
    "monitor.clock": "A clock that is 15 minutes off makes S3 refuse every request.",
    "monitor.units": "Sockets, deliveries and alerts that failed; all other units tell it themselves.",
    "monitor.database": "Whether MySQL answers. What follows from that is not told beside it.",
    "monitor.mysql": "The load of MySQL. Needs PROCESS and SELECT on *.*; without them only connections are watched.",
    "monitor.replication": "The replica that [standby] names.",
    "monitor.outside": "The server as users reach it: /ready at the address in [server] host.",
    "monitor.certificate": "The certificate at that address.",
    "monitor.store": "The object stores: the server's bucket, and the destination of backups.",
    "monitor.network": "Whether this host reaches any other one.",
    "metrics": "Metrics for Prometheus.",
    "alerts": "Who is told, as Apprise URLs: mail, Slack, Teams, PagerDuty, … Without any, only the journal.",
}

# Values that have no default to show: what a real one looks like.
_EXAMPLES: Final[dict[str, object]] = {
    "server.host": "https://wandb.example.com",
    "server.image": "wandb/local:0.83.0",
    "server.bucket": "s3://KEY:SECRET@minio.example.com:9000/wandb-files?region=us-east-1&tls=true",
    "server.mysql": "mysql://wandb_local:PASSWORD@db1.example.com:3306/wandb_local",
    "server.license": "LICENSE",
    "server.redis": "redis://:PASSWORD@redis.example.com:6379",
    "server.region": "us-east-1",
    "server.user": "999",
    "server.env.LOGGING_ENABLED": "true",
    "server.ulimits.nofile": "262144:262144",
    "database.url": "mysql://wandb_backup:PASSWORD@127.0.0.1:3306/wandb_local",
    "standby.url": "mysql://wbagent:PASSWORD@db2.example.com:3306/wandb_local",
    "backup.bandwidth": "20M",
    "backup.lock_days": 30,
    "backup.destination": "s3://KEY:SECRET@offsite.example.com/wandb-backups/host1?region=eu-west-1&tls=true",
    "backup.owner": "host1",
    "backup.drill.image": "mysql:8.4",
    'monitor.cpu.units."mysql.service"': 40.0,
    "monitor.disk.free_below": "20G",
    "monitor.disk.paths": ["/srv"],
    "metrics.listen": "127.0.0.1:9797",
    "metrics.textfile": "/run/wbagent-metrics/wbagent.prom",
    "alerts.to": ["mailto://USER:PASSWORD@mail.example.com?to=ops@example.com"],
    "alerts.ping_agent": "https://hc-ping.com/UUID",
    "alerts.ping_backup": "https://hc-ping.com/UUID",
}


def template() -> str:
    """The text of /etc/wbagent.toml as installed."""
    return "\n".join([_HEAD, *_section(Settings, "")]) + "\n"


def _section(model: type[BaseModel], path: str) -> Iterator[str]:
    """One table, then the tables within it, as TOML wants them."""
    tables = {name: field for name, field in model.model_fields.items() if _is_table(field)}
    keys = {name: field for name, field in model.model_fields.items() if name not in tables}
    if path and keys:
        yield ""
        yield from _prose(_PROSE[path])
        yield f"#[{path}]"
    for name, field in keys.items():
        yield from _key(f"{path}.{name}", field)
    for name, field in tables.items():
        inner = f"{path}.{name}".lstrip(".")
        table = _model_of(field)
        if table:
            yield from _section(table, inner)
        else:
            yield from _free_table(inner)


def _key(path: str, field: FieldInfo) -> Iterator[str]:
    section, _, name = path.rpartition(".")
    if field.description:
        yield from _prose(field.description)
    if (section, name) in SECRET_KEYS:
        yield f'# Or: {name}_file = "/path/of/a/file", or the systemd credential wbagent.{path}'
    yield f"#{name} = {toml_text(_EXAMPLES[path] if path in _EXAMPLES else _written(field))}"


def _free_table(path: str) -> Iterator[str]:
    """A table whose keys are the operator's own."""
    yield ""
    yield from _prose(_PROSE[path])
    yield f"#[{path}]"
    for example, value in _EXAMPLES.items():
        if example.startswith(f"{path}."):
            yield f"#{example.removeprefix(f'{path}.')} = {toml_text(value)}"


def _written(field: FieldInfo) -> object:
    """A default as people write it: durations and sizes with their units."""
    default = field.get_default(call_default_factory=False)
    if default is None or default is PydanticUndefined:
        raise LookupError("a key without a default needs an example here")
    validators = [getattr(item, "func", None) for item in field.metadata]
    if parse_duration in validators:
        return format_duration(default)
    if parse_size in validators:
        return format_size(default)
    return default


def _prose(text: str) -> Iterator[str]:
    yield from textwrap.wrap(text, width=110, initial_indent="# ", subsequent_indent="# ")


def _is_table(field: FieldInfo) -> bool:
    return _model_of(field) is not None or field.annotation in (dict[str, str], dict[str, float])


def _model_of(field: FieldInfo) -> type[BaseModel] | None:
    kinds: tuple[Any, ...] = (field.annotation, *get_args(field.annotation))
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
