"""Tries an answer of `wbagent init` for real: asks the address, the database, the store, and says what is wrong."""

from __future__ import annotations

import re
import secrets
import shutil
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlsplit

from wbagent.addresses import THIS_MACHINE, addresses_of
from wbagent.alerts.destination import destinations
from wbagent.alerts.words import say
from wbagent.config.dsn import S3URL, MysqlURL, parse_server_bucket
from wbagent.database.connection import rows, session
from wbagent.database.facts import ServerFacts, read_server, show_version
from wbagent.database.target import check_version
from wbagent.errors import DatabaseError, WbagentError
from wbagent.in_thread import in_thread
from wbagent.monitor import outside, store_probe
from wbagent.monitor.outside import Outside, Stage
from wbagent.monitor.store_probe import Asked, Trouble
from wbagent.server.resolving import look_up, unseen
from wbagent.setup.questions import NAMED, Answers, Question
from wbagent.upgrade import release

_TIMEOUT_S: Final = 10.0
# A key of a few characters is a slip of the hand.
_SHORTEST_LICENCE: Final = 40


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of it: `said` for a good answer, else `problem`, and what to do about it. None holds a secret.

    `missing`: all that is wrong is that the store has no such bucket yet.
    """

    said: str = ""
    problem: str = ""
    hint: str = ""
    remarks: tuple[str, ...] = ()
    missing: bool = False


def attempt(question: Question, text: str, answers: Answers) -> Tried:
    """Try one answer that has been read; of `answers` only the bucket's matters, and only as a text."""
    tries: dict[str, Callable[[], Tried]] = {
        "host": lambda: _host(text),
        "image": lambda: judge_image(text, docker=shutil.which("docker") is not None),
        "mysql": lambda: _for_server(MysqlURL.parse(text).host, lambda: _mysql(MysqlURL.parse(text), backups=False)),
        "database": lambda: _mysql(MysqlURL.parse(text), backups=True),
        "bucket": lambda: _bucket(text),
        "destination": lambda: _destination(S3URL.parse(text), answers.get("bucket")),
        "license": lambda: judge_licence(text),
        "alerts": lambda: _alerts(text.split()),
    }
    return tries.get(question.name, Tried)()


def attempt_all(answers: Answers) -> Mapping[str, Future[Tried]]:
    """Try all answers side by side, in their order; none that was passed over.

    Who is interrupted waits for no result, but at the end of the process for a store to be rid of the test's object.
    """
    return {name: in_thread(attempt, NAMED[name], text, answers) for name, text in answers.items() if text}


def judge_image(image: str, *, docker: bool) -> Tried:
    """A name that is well-formed, and no release that W&B took back."""
    try:
        release.judge(image, image)
    except WbagentError as error:
        return Tried(problem=error.message, hint=error.hint)
    return Tried("a release by its name", remarks=() if docker else ("Docker is not installed: apt install docker.io",))


def judge_licence(licence: str) -> Tried:
    """Whether it looks like a licence; only the server can tell whether it is one."""
    if len(licence) < _SHORTEST_LICENCE:
        return Tried(
            problem=f"a licence is longer than {len(licence)} characters", hint="give the whole of it, as W&B sent it"
        )
    if len(licence.split(".")) == 3:
        return Tried("it looks like one; only the server can tell")
    remark = "W&B's are JSON Web Tokens as a rule, of the form a.b.c: see that this is the whole of it"
    return Tried("only the server can tell whether it is one", remarks=(remark,))


def judge_host(address: str, look: Outside, *, here: bool) -> Tried:
    """What a look at the public address means before the server runs; `here`: it is an address of this host."""
    url = urlsplit(address)
    remarks = ("plain HTTP: W&B's guide asks for TLS at the load balancer",) if url.scheme == "http" else ()
    if look.certificate and look.certificate.doubt:
        doubt = say("en", f"certificate-refused.{look.certificate.doubt}")
        return Tried(
            problem=f"its certificate is refused: {doubt} ({look.certificate.said})",
            hint="mend it on the load balancer; W&B's clients refuse to send their data otherwise",
        )
    if look.broken in {Stage.REFUSED, Stage.SILENT} and here and url.scheme == "http":
        return Tried("it is this host, and nothing listens there yet", remarks=remarks)
    if look.broken in {Stage.PROXY, Stage.UNREADY}:
        return Tried(f"the load balancer answers, and the server does not run yet ({look.said})", remarks=remarks)
    if look.broken:
        mend = _mend(f"outside.mend_{look.broken}").replace("NAME", url.hostname or "NAME")
        return Tried(problem=f"{say('en', f'outside.{look.broken}')} {look.said}", hint=mend)
    return Tried(f"it answers already: {look.said}", remarks=remarks)


def judge_store(asked: Asked) -> Tried:
    """What a signed round with the store means."""
    if asked.trouble is None:
        left = ("the object of the test could not be removed: wbagent-init-*; Object Lock?",) if asked.left else ()
        return Tried("an object was stored, read and removed", remarks=left)
    mend = _mend(f"store.mend_{asked.trouble}")
    missing = asked.trouble is Trouble.BUCKET
    if missing:
        mend += "; or let init make it, with these keys: --make-buckets"
    return Tried(problem=f"{say('en', f'store.{asked.trouble}')} {asked.said}", hint=mend, missing=missing)


def judge_mysql(url: MysqlURL, server: ServerFacts, charset: str, *, backups: bool) -> Tried:
    """Whether W&B supports such a MySQL and database, and what an account for backups lacks."""
    said = f"{server.flavour} {show_version(server.version)} lets the account in"
    try:
        check_version(server.version, server.flavour, server.version, url)
    except DatabaseError as error:
        return Tried(problem=error.message, hint=error.hint)
    if charset != "utf8mb4":
        return Tried(
            problem=f"the database has the character set {charset} instead of utf8mb4",
            hint=f"ALTER DATABASE {url.database} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
        )
    missing = server.grants.missing_for_position(server.version) if backups else ()
    lacks = (f"backups note no position in the binary log without: {server.grants.statement(missing)}",)
    return Tried(said, remarks=lacks if missing else ())


def _mend(key: str) -> str:
    """The remedy of an alert, without what only concerns a host that is configured already."""
    return re.split(r", then: |; or \[|; if only ", say("en", key, {"key": "the connection string"}))[0]


def _host(address: str) -> Tried:
    try:
        look = outside.ask(address, _TIMEOUT_S)
    except OSError as error:
        return Tried(problem=f"this host's authorities cannot be read: {error}", hint="apt install ca-certificates")
    return judge_host(address, look, here=THIS_MACHINE in addresses_of(urlsplit(address).hostname or ""))


def _for_server(host: str, tried: Callable[[], Tried]) -> Tried:
    """What came of trying it from here, where the server's container comes to that host too."""
    trouble = unseen(look_up(host)) if host else None
    if trouble is None:
        return tried()
    if trouble.sure:
        return Tried(problem=trouble.said, hint=trouble.remedy)
    found = tried()
    return replace(found, remarks=(*found.remarks, f"{trouble.said}: {trouble.remedy}"))


def mend_mysql(error: DatabaseError, *, backups: bool) -> str:
    """The remedy; what `wbagent database init` makes lacks only where MySQL answered: an account, a database."""
    answered = re.search(r"\((1044|1045|1049|1698)\)$", error.message)
    return f"{error.hint}; wbagent database init makes what is missing" if answered and not backups else error.hint


def _mysql(url: MysqlURL, *, backups: bool) -> Tried:
    try:
        with session(url, read_timeout=_TIMEOUT_S) as connection:
            ((charset,),) = rows(connection, "SELECT @@character_set_database")
            return judge_mysql(url, read_server(connection), str(charset), backups=backups)
    except DatabaseError as error:
        return Tried(problem=error.message, hint=mend_mysql(error, backups=backups))


def _bucket(text: str) -> Tried:
    bucket = parse_server_bucket(text)
    if not isinstance(bucket, S3URL):
        return Tried("not tried: only W&B's server speaks to this kind of store")
    return _for_server(bucket.host or "", lambda: _store(bucket))


def _store(url: S3URL) -> Tried:
    if not url.access_key:
        return Tried("not tried: without keys in it, the machine's own are used (an instance's role)")
    key = "/".join(part for part in (url.prefix, f"wbagent-init-{secrets.token_hex(8)}") if part)
    # In a pool's thread, which Ctrl-C does not reach and which is waited for at exit: the object is removed first.
    with ThreadPoolExecutor(1) as pool:
        return judge_store(pool.submit(store_probe.write, url, key, _TIMEOUT_S, time.time()).result())


def _destination(url: S3URL, bucket: str | None) -> Tried:
    tried = _store(url)
    files = parse_server_bucket(bucket) if bucket else None
    if isinstance(files, S3URL) and files.endpoint_url and files.endpoint_url == url.endpoint_url:
        remark = "it is the store of the server's own bucket: W&B's guide asks for a separate facility"
        return replace(tried, remarks=(*tried.remarks, remark))
    return tried


def _alerts(urls: list[str]) -> Tried:
    import apprise  # noqa: PLC0415 - half a second that only this answer needs

    unknown = [each.label for each in destinations(urls) if not apprise.Apprise().add(each.url)]
    if unknown:
        return Tried(
            problem=f"Apprise does not know the form of {', '.join(unknown)}",
            hint="https://github.com/caronc/apprise/wiki describes each kind",
        )
    return Tried(f"{len(urls)} destination{'s' if len(urls) > 1 else ''} of a known kind")


def send_test(text: str) -> Tried:
    """Send a test message to everyone in an answer to `alerts`."""
    from wbagent.alerts.message import Kind, event  # noqa: PLC0415 - only when it is wanted
    from wbagent.alerts.unit_report import send_past_outbox  # noqa: PLC0415 - as above

    to = destinations(text.split())
    message = event("test", {}, time.time(), "en", severity="info", told_as=Kind.TEST)
    refused = [f"{each.destination.label}: {each.error}" for each in send_past_outbox(message, to) if each.error]
    if refused:
        return Tried(problem="; ".join(refused), hint="mend the address, or see that it can be reached from here")
    return Tried("the test message was taken" + (f" by all {len(to)}" if len(to) > 1 else ""))
