"""What is good and bad about what a load balancer does with requests and answers: pure decisions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from wbagent.checks.check import Finding, fail, note, passed, warn
from wbagent.checks.fronts import Need
from wbagent.checks.proxy.facts import Big, Path, Redirect, Wait, Way
from wbagent.checks.proxy.head import Head
from wbagent.checks.public import Answer, Public, Upload

# What mends a need, as lines for the load balancer.
Lines = Callable[[Need], str]
_MB: Final = 10**6
# What only a load balancer says: it has nobody behind it, or did not hear from it in time.
_NOBODY_BEHIND: Final = frozenset({502, 503, 504, 520, 521, 522, 523, 524})
_TOO_LARGE: Final = 413
_MEASURED: Final = "measured while the server is stopped, before its first start or at a quiet hour:\n"
_STOPPED: Final = f"{_MEASURED}systemctl stop wandb-local; wbagent check proxy; systemctl start wandb-local"


def of_silence(why: str, public: Public, lines: Lines, *, reachable: bool) -> Finding:
    """Nobody at the public address; `reachable`: this host is meant to reach it ([monitor.outside] enabled)."""
    if not reachable:
        return note(f"{why}; by [monitor.outside] enabled = false this host need not reach its public address")
    return fail(
        f"{why}; nothing else was looked at",
        needed=f"a load balancer at {public.host}:{public.port}",
        remedy=f"curl -v {public.url}/healthz (is it up, is its port open?). To pass requests on it needs:\n"
        + lines(Need.UPSTREAM),
    )


def of_path(path: Path, way: Way, lines: Lines) -> Finding:
    """One of the server's health pages, asked for at the public address: answered, and by this host's server.

    A server that is not ready is the area server's business: what counts here is whose answer it is.
    """
    answer, name = path.answer, path.name
    if path.arrived or (path.arrived is None and way.blind and path.same):
        how = "reaches this host's server" if path.arrived else "is answered as by this host's server"
        return passed(f"{how} ({answer.said})", about=name)
    if answer.status in _NOBODY_BEHIND:
        return fail(
            f"{answer.said}: the load balancer answers, and does not reach the server",
            needed=f"it passes requests on to {way.upstream}",
            remedy=lines(Need.UPSTREAM),
            about=name,
        )
    if 300 <= answer.status < 400:
        return fail(
            f"{answer.said} to {answer.headers.get('location', '?')}, instead of the server's answer",
            needed="it is passed on to the server: clients and probes do not follow to a login page",
            remedy=lines(Need.UPSTREAM),
            about=name,
        )
    if answer.status in {401, 403, 407}:
        return fail(
            f"{answer.said}: the load balancer lets only known callers through",
            needed="the wandb client gets through with its API key alone",
            remedy="take the login away at the load balancer, and use the server's own (OIDC, LDAP)",
            about=name,
        )
    return fail(
        f"{answer.said}, but the request did not come to this host: somebody else answers there",
        needed=f"{name} at the public address is this server's",
        remedy=lines(Need.UPSTREAM),
        about=name,
    )


def of_upload(big: Big, lines: Lines, *, embedded: bool) -> Finding:
    """A large request through the load balancer, held against the same one sent to the server itself.

    10 MB is what `wandb verify` sends. With the server's own store, files of any size take this way too.
    """
    through = big.through
    if _same(through, big.direct):
        return passed("came through")
    if through.answer is None and not through.cut:
        return note(
            f"only {through.sent / _MB:.1f} MB sent in {big.seconds:g} s: not looked at further",
            needed="a way that is fast enough to try it",
            remedy="run this on a host that is nearer to the load balancer, or look for a limit of the rate there",
        )
    if through.answer and through.answer.status == _TOO_LARGE:
        found = f"refused: {through.answer.said}"
    elif through.answer:
        found = f"answered with {through.answer.said}, which is not the server's answer"
    else:
        found = f"cut after {through.sent / _MB:.1f} MB: {through.cut}"
    judge = fail if embedded or through.size <= 11 * _MB else warn
    return judge(found, needed="no limit: the server has its own", remedy=lines(Need.BODY))


def of_upgrade(head: Head | None, answer: Answer, way: Way, lines: Lines) -> Finding:
    """Whether a websocket's handshake reaches the server as one."""
    if head is None and answer.status == 101:
        return passed("answered with 101 Switching Protocols")
    if head is None:
        return _unseen(way, Need.UPGRADE, lines, "Upgrade and Connection are passed on")
    words = {word.strip().lower() for word in head.get("connection").split(",")}
    if head.get("upgrade").lower() != "websocket" or "upgrade" not in words:
        got = ", ".join(f"{name}: {head.get(name) or '(none)'}" for name in ("Upgrade", "Connection"))
        return fail(
            f"a websocket's handshake reaches the server without its headers ({got})",
            needed="Upgrade: websocket and Connection: upgrade, as the client sent them",
            remedy=lines(Need.UPGRADE),
        )
    if way.stopped and answer.status != 101:
        return fail(
            f"the server agreed to a websocket, and the client got {answer.said}",
            needed="101 Switching Protocols is passed back",
            remedy=lines(Need.UPGRADE),
        )
    return passed("Upgrade and Connection are passed on")


def of_host(head: Head | None, public: Public, way: Way, lines: Lines) -> Finding:
    """Whether the server is called by the name that the client used, port and all: signatures are over it."""
    if head is None:
        return _unseen(way, Need.HOST, lines, "Host is passed on with its port")
    if head.get("host").lower() == public.named.lower():
        return passed(f"Host is passed on: {public.named}")
    return fail(
        f"the server is asked for {head.get('host') or '(no Host)'}, and the client for {public.named}",
        needed=f"Host: {public.named}, else signed URLs of the server's own store answer 403",
        remedy=lines(Need.HOST),
    )


def of_forwarded(head: Head | None, public: Public, way: Way, lines: Lines) -> list[Finding]:
    """Whether the server is told how the client came: scheme, name and address."""
    if head is None:
        return [_unseen(way, Need.PROTO, lines, "X-Forwarded-Proto, -For and -Host are set")]
    scheme = "https" if public.secure else "http"
    proto, origin, host = (head.get(str(need)) for need in (Need.PROTO, Need.FOR, Need.FORWARDED_HOST))
    found = []
    # Each load balancer on the way may add its own; the first one is what the client met.
    if proto.split(",")[0].strip().lower() == scheme:
        found.append(passed(proto, about=Need.PROTO))
    else:
        found.append(
            warn(
                f"{proto or 'not set'}: the server takes users to have come by {proto or 'http'}",
                needed=scheme,
                remedy=lines(Need.PROTO),
                about=Need.PROTO,
            )
        )
    if origin:
        found.append(passed(origin, about=Need.FOR))
    else:
        found.append(
            warn("not set", needed="the client's address, for the audit log", remedy=lines(Need.FOR), about=Need.FOR)
        )
    if host.split(",")[0].strip().lower() == public.named.lower():
        found.append(passed(host, about=Need.FORWARDED_HOST))
    elif not host and head.get("host").lower() == public.named.lower():
        found.append(passed("not set, nor needed while Host is passed on", about=Need.FORWARDED_HOST))
    else:
        needs = {"needed": public.named, "remedy": lines(Need.FORWARDED_HOST), "about": Need.FORWARDED_HOST}
        found.append(warn(host or "not set", **needs))
    return found


def of_stream(at_once: bool | None, lines: Lines) -> Finding:
    """Whether an answer that comes in pieces is passed on piece by piece; None where the server cannot be asked to."""
    if at_once is None:
        return note(
            "not seen while the server runs: whether answers are passed on piece by piece, and for how long slow ones "
            "are waited for",
            needed=f"{lines(Need.STREAM)}\n{lines(Need.PATIENCE)}",
            remedy=_STOPPED,
        )
    if at_once:
        return passed("answers are passed on piece by piece")
    return fail(
        "the load balancer holds answers back until they are complete",
        needed="each piece is passed on at once: logs and progress come as they are written",
        remedy=lines(Need.STREAM),
    )


def of_wait(wait: Wait, about: str, lines: Lines) -> Finding:
    """Whether the load balancer waits: for an answer, or for the next piece of an upload."""
    if wait.gave_up:
        return fail(
            f"given up after {wait.lasted:.0f} s: {wait.gave_up}",
            needed="at least some minutes: large queries take long, and slow clients pause",
            remedy=lines(Need.PATIENCE),
            about=about,
        )
    return passed(f"a pause of {wait.lasted:.0f} s is borne (longer ones are not tried)", about=about)


def of_redirect(redirect: Redirect, public: Public, lines: Lines) -> Finding:
    """Whether http:// leads to https://."""
    answer = redirect.answer
    if answer is None:
        return note(
            f"nobody answers at http://{public.host} ({redirect.why}): who types the bare name gets no further, "
            "unless the browser knows it by HSTS",
            needed="a redirect to https",
            remedy=lines(Need.REDIRECT),
        )
    goal = answer.headers.get("location", "")
    if 300 <= answer.status < 400 and goal.lower().startswith(f"https://{public.named.lower()}/"):
        return passed(f"http://{public.host} leads to {public.url}")
    if 300 <= answer.status < 400 and goal.lower().startswith("https://"):
        return warn(
            f"http://{public.host} leads to {goal}",
            needed=f"it leads to {public.url}, the address in [server] host",
            remedy=lines(Need.REDIRECT),
        )
    return warn(
        f"http://{public.host} answers with {answer.said}{f' to {goal}' if goal else ''} instead of leading to https",
        needed="a redirect to https: what is sent there is in clear, API keys too",
        remedy=lines(Need.REDIRECT),
    )


def _unseen(way: Way, need: Need, lines: Lines, what: str) -> Finding:
    if way.blind:
        return note(f"not seen whether {what}: {way.blind}", needed=lines(need))
    return note(f"not seen whether {what}: the request was not found on its way", needed=lines(need), remedy=_STOPPED)


def _same(through: Upload, direct: Upload | None) -> bool:
    """Whether what came back is the server's own answer; `direct` None: nothing about it made one ask."""
    if through.answer is None:
        return False
    return direct is None or (direct.answer is not None and direct.answer.status == through.answer.status)
