"""The steps of `wbagent verify`, from the address that users open to the client that they use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from wbagent.checks.areas import checks_of
from wbagent.checks.check import Check, Finding, Subject, Verdict, fail, listed, note, passed, warn
from wbagent.config import Settings
from wbagent.quantities import format_duration
from wbagent.verify import log
from wbagent.verify.address import host_of, judge, refusal, seen
from wbagent.verify.client import TIME_LIMIT_S, Client, Ended, verify
from wbagent.verify.output import WHOLE, Outcome, Step, read
from wbagent.verify.remedies import UNKNOWN, remedy_of

SECTION: Final = "Verify your installation"
# The heading of what the client says.
CLIENT: Final = WHOLE
# Of the areas of `wbagent check` what a client meets with; None: all. Both "public address", which opens proxy's way to
# the server, and "redirect", which closes it, are needed.
CHOSEN: Final[Mapping[str, frozenset[str] | None]] = {
    "tls": None,
    "proxy": frozenset({"public address", "body of 10 MB", "websocket", "Host", "redirect"}),
    "bucket": frozenset({"endpoint", "users' address", "keys", "signed URL", "CORS", "multipart", "not looked at"}),
}
_MOST_LINES: Final = 20
_LAST_LINES: Final = 5


@dataclass(frozen=True, slots=True)
class Visitor:
    """The client and the key that it logs in with; `missing` says why one of them is not there, and what to do."""

    client: Client | None = None
    api_key: str | None = None
    missing: tuple[str, str] = ("", "")


class _Reached:
    """Whether the address answers: what lies behind it is looked at only then."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._broken = True

    def look(self, subject: Subject) -> Finding:
        """Ask it."""
        found = seen(subject.settings)
        self._broken = found.broken is not None
        return judge(found, self._host)

    def needed_by(self, check: Check) -> Check:
        """The check, which finds nothing where nobody answers: that was told once."""
        return replace(check, run=lambda subject: () if self._broken else check.run(subject))


def steps(
    settings: Settings, visitor: Visitor | None, now_at: Callable[[str], None] = lambda _: None
) -> dict[str, Sequence[Check]]:
    """All of them by the heading that they are shown under; `now_at` hears which step of its own the client is at."""
    reached = _Reached(host_of(settings))
    address = Check(
        "ready",
        reached.look,
        why="users see what this address answers, whatever the server on this host says of itself",
        section=SECTION,
    )
    start = Check(
        "start",
        log.look,
        why="the image stays up after a start that failed, and only its log says so",
        section=SECTION,
    )
    reused = {area: _chosen(area, settings, names) for area, names in CHOSEN.items()}
    # One after the other: where nobody answers, the area proxy would put a server of its own in that place.
    behind = [reached.needed_by(check) for check in reused.pop("proxy")]
    reused["tls"] = [_answers(check) if check.name == "https" else check for check in reused["tls"]]
    found: dict[str, Sequence[Check]] = {"address": [address, *behind], **reused, "log": [start]}
    if visitor is not None:
        client = Check(
            "client",
            lambda subject: _client(subject, visitor, now_at),
            why="it does what every user's machine does: runs, files, artifacts, sweeps",
            section=SECTION,
            time_limit_s=TIME_LIMIT_S + 30,
        )
        found[CLIENT] = [client]
    return found


def findings(ended: Ended, host: str) -> Iterator[Finding]:
    """What the client's output and exit status mean.

    Invariant: at least one failure when the client did not end with status 0, or printed no step that passed.
    """
    account = read(ended.output)
    told = [_finding(step, host) for step in account.steps]
    yield from told
    fine = any(step.outcome is Outcome.PASSED for step in account.steps)
    failed = any(finding.verdict == "fail" for finding in told)
    last = "\n".join(line for line in ended.output.splitlines() if line.strip())
    tail = "\n".join(last.splitlines()[-_LAST_LINES:])
    if ended.status is None:
        limit = format_duration(TIME_LIMIT_S)
        yield fail(f"it did not end within {limit} and was ended", needed="an end", remedy=remedy_of("timeout", host))
    elif not failed and (ended.status != 0 or not fine):
        what = f"it ended with status {ended.status}" if ended.status else "it told of no step that passed"
        yield fail(f"{what}; its last lines:\n{tail}", needed="status 0", remedy=remedy_of(tail, host))
    rest = [*account.other, *(line for step in account.steps if step.outcome is Outcome.PASSED for line in step.other)]
    if rest:
        yield note("it also said:\n" + "\n".join(rest[-_MOST_LINES:]))


def _client(subject: Subject, visitor: Visitor, now_at: Callable[[str], None]) -> Iterator[Finding]:
    if visitor.client is None or visitor.api_key is None:
        found, remedy = visitor.missing
        return iter([note(f"not run: {found}", remedy=remedy)])
    host = host_of(subject.settings)
    at_address = seen(subject.settings)
    if at_address.broken is not None or refusal(at_address):
        return iter([note(f"not run: {host} cannot be used (above)")])
    server = subject.settings.server
    authorities = [
        *subject.settings.monitor.certificate.authorities,
        *(server.ca_certificates if server is not None else ()),
    ]
    ended = verify(visitor.client, host, visitor.api_key, authorities, subject.scratch, now_at=now_at)
    return iter([passed(f"{visitor.client.version}, {visitor.client.path}"), *findings(ended, host)])


def _finding(step: Step, host: str) -> Finding:
    about = step.label.removeprefix("Checking ") if step.label != WHOLE else ""
    if step.outcome is Outcome.PASSED:
        return passed("passed", about=about)
    reasons = "\n".join(step.reasons)
    words = "\n".join([reasons, *step.other])
    remedy = remedy_of(reasons, host)
    remedy = remedy_of(words, host) if remedy == UNKNOWN else remedy
    found = "\n".join(step.reasons or ("it ended in the midst of this",))
    if step.other:
        found += "\n" + "\n".join(step.other[-_MOST_LINES:])
    say = warn if step.outcome is Outcome.WARNED else fail
    return say(found, needed="", remedy=remedy, about=about)


def _answers(check: Check) -> Check:
    """The check whether anybody answers with TLS, which fails once: at the address itself."""

    def run(subject: Subject) -> Iterator[Finding]:
        for found in listed(check.run(subject)):
            yield note(f"{found.found} (above)") if found.verdict is Verdict.FAIL else found

    return replace(check, run=run)


def _chosen(area: str, settings: Settings, names: frozenset[str] | None) -> Sequence[Check]:
    checks = checks_of(area, settings)
    # An area that does not apply has one check of another name, which says why.
    return [check for check in checks if names is None or check.name in names] or checks
