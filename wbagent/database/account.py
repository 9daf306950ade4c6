"""An account of MySQL's and its database: names that MySQL and connection strings take, and a new password."""

from __future__ import annotations

import secrets
import string
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from wbagent.database.grants import quoted_account
from wbagent.errors import UsageError

# The names of a MySQL that nobody may make anew.
MYSQLS_OWN: Final = frozenset({"mysql", "sys", "information_schema", "performance_schema"})
_LETTERS: Final = string.ascii_letters + string.digits
_LONGEST_USER: Final = 32
_LONGEST_HOST: Final = 255
_LONGEST_DATABASE: Final = 64


@dataclass(frozen=True, slots=True)
class Account:
    """One account of MySQL's: who it is, and from where it may come."""

    user: str
    host: str

    def __str__(self) -> str:
        return quoted_account(f"{self.user}@{self.host}")


def check_names(account: Account, database: str) -> None:
    """Raise UsageError for names that MySQL, or a connection string, does not take."""
    wrong = next(_wrong_names(account, database), None)
    if wrong:
        raise UsageError(wrong, hint="W&B's guide: user wandb_local, database wandb_local, host %")


def new_password() -> str:
    """More than 200 bits, a character of each kind that validate_password asks for, none that a URL has to escape."""
    while True:
        parts = ("".join(secrets.choice(_LETTERS) for _ in range(10)) for _ in range(4))
        made = "-".join(parts)
        if all(any(map(kind, made)) for kind in (str.isupper, str.islower, str.isdigit)):
            return made


def _wrong_names(account: Account, database: str) -> Iterator[str]:
    for what, name, longest in (
        ("user", account.user, _LONGEST_USER),
        ("account's host", account.host, _LONGEST_HOST),
        ("database", database, _LONGEST_DATABASE),
    ):
        if not name:
            yield f"the {what} has no name"
        if len(name) > longest:
            yield f"the {what} {name[:40]!r}… has more than the {longest} characters that MySQL takes"
        if not name.isprintable() or any(ord(character) > 0xFFFF for character in name):
            yield f"the {what} {name!r} holds a character that MySQL does not take in names"
        if name != name.strip():
            yield f"the {what} {name!r} begins or ends with a space, which MySQL takes away"
    if "/" in database:
        yield f"the database {database!r} holds a /, which no connection string can name"
    if "%" in database or "\\" in database:
        yield f"the database {database!r} holds a % or \\, which in a GRANT means other databases too"
    if "@" in account.host:
        yield f"the account's host {account.host!r} holds a @"
    if database.lower() in MYSQLS_OWN:
        yield f"the database {database!r} is one of MySQL's own"
