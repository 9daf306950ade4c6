"""What may be executed of a binary log's statements when one database of it is restored, perhaps under another name.

mysqlbinlog changes the name in row events and in USE, never within a statement: what names the original there would be
executed in the original, if that is on the same server. (MySQL's manual, mysqlbinlog --rewrite-db.)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from wbagent.binlog.bodies import Statement

# What in a statement is no word of it, or has to be read first: strings, quoted names, comments. What stands within
# /*! */ is executed.
_PART: Final = r"'(?:{0}|'')*'|\"(?:{1}|\"\")*\"|`(?:[^`]|``)+`|/\*!\d*|\*/|/\*.*?\*/|(?:--(?=\s|\Z)|#)[^\n]*"
_PARTS: Final = re.compile(_PART.format(r"[^'\\]|\\.", r"[^\"\\]|\\."), re.DOTALL)
_PARTS_WITHOUT_ESCAPES: Final = re.compile(_PART.format(r"[^']", r'[^"]'), re.DOTALL)
_CONTROL: Final = re.compile(r"(?:BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|START TRANSACTION|XA)\b", re.IGNORECASE)
_SERVER_WIDE: Final = re.compile(
    r"(?:(?:CREATE(?:\s+OR\s+REPLACE)?|ALTER|DROP|RENAME)\s+(?:USER|ROLE|SERVER|TABLESPACE|UNDO|LOGFILE|RESOURCE|SPATIAL)"
    r"|GRANT|REVOKE|SET\s+(?:DEFAULT\s+ROLE|PASSWORD|RESOURCE)|INSTALL|UNINSTALL|FLUSH)\b",
    re.IGNORECASE,
)
_DATABASE: Final = re.compile(
    r"(?P<verb>CREATE|ALTER|DROP)\s+(?:DATABASE|SCHEMA)\b(?:\s+IF\s+(?:NOT\s+)?EXISTS)?\s*"
    # ALTER DATABASE may name none, and mean that of the session.
    r"(?!(?:DEFAULT|CHARACTER|CHARSET|COLLATE|ENCRYPTION|READ)\b)(?P<name>`(?:[^`]|``)+`|[\w$]+)?",
    re.IGNORECASE,
)
_QUALIFIER: Final = re.compile(r"(`(?:[^`]|``)+`|[\w$]+)\s*\.\s*(?=[`\w$*])")


@dataclass(frozen=True, slots=True)
class Scope:
    """`original`: the database that was backed up; `target`: what it is restored as; `others`: on the same server.

    `folds`: names of databases that differ in case only mean the same there (lower_case_table_names).
    """

    original: str
    target: str
    others: frozenset[str]
    folds: bool = False

    @property
    def renamed(self) -> bool:
        """Whether the names differ."""
        return self.original != self.target

    def same(self, name: str) -> str:
        """The name in the form in which two that mean the same are equal."""
        return name.lower() if self.folds else name


@dataclass(frozen=True, slots=True)
class Verdict:
    """`apply` it, or leave it out; `refusal` says why neither would be right, or is ""."""

    apply: bool
    refusal: str = ""


_APPLY: Final = Verdict(True)
_LEAVE_OUT: Final = Verdict(False)


def judge(statement: Statement, scope: Scope) -> Verdict:
    """What to do with one statement.

    Invariant: nothing is applied that names a database of the target's server other than the target, and nothing that
    changed the original is left out without a refusal.
    """
    text, original = _words(statement), scope.same(scope.original)
    if _CONTROL.match(text) or _SERVER_WIDE.match(text):
        return Verdict(apply=bool(_CONTROL.match(text)))
    if found := _DATABASE.match(text):
        return _of_database(found["verb"].upper(), _name(found["name"] or statement.database), scope)
    names = {scope.same(_name(name)) for name in _QUALIFIER.findall(text)}
    shown = " ".join(text.split())[:120]
    if scope.same(statement.database) != original:
        inside = original in names
        return Verdict(False, f"it changes {scope.original} from within another database: {shown}" if inside else "")
    if scope.renamed and original in names:
        return Verdict(False, f"it names {scope.original}, which is to be restored as {scope.target}: {shown}")
    others = {scope.same(each) for each in scope.others} - {original, scope.same(scope.target)}
    if foreign := sorted(names & others):
        return Verdict(False, f"it would reach into {foreign[0]} on the same server: {shown}")
    return _APPLY


def _words(statement: Statement) -> str:
    """What of the text is executed, without its strings; every quoted name in backquotes."""

    def read(part: re.Match[str]) -> str:
        if part[0][0] == '"' and statement.ansi_quotes:
            return "`" + part[0][1:-1].replace('""', '"').replace("`", "``") + "`"
        return part[0] if part[0][0] == "`" else " "

    parts = _PARTS_WITHOUT_ESCAPES if statement.no_backslash_escapes else _PARTS
    return parts.sub(read, statement.text).strip()


def _of_database(verb: str, name: str, scope: Scope) -> Verdict:
    if scope.same(name) != scope.same(scope.original) or verb == "CREATE":
        # One that is made anew was dropped before, which is refused; IF NOT EXISTS did nothing.
        return _LEAVE_OUT
    if verb == "DROP" or scope.renamed:
        return Verdict(False, f"it is {verb} DATABASE {name}")
    return _APPLY


def _name(text: str) -> str:
    return text[1:-1].replace("``", "`") if text.startswith("`") else text
