"""Judges [server.env]: the variables of W&B's server whose form is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from wbagent.checks.check import Finding, Subject, fail, note, passed, warn
from wbagent.config.server import ServerSettings


def environment(settings: ServerSettings) -> Callable[[Subject], Iterator[Finding]]:
    """[server.env]."""
    variables = dict(settings.env)
    return lambda _: iter(judge_environment(variables))


def judge_environment(env: Mapping[str, str]) -> tuple[Finding, ...]:
    """The variables whose form is known; no value is shown, since any may be a secret."""
    found = [*_oidc(env), *_others(env)]
    known = len(env)
    return tuple(found) or (passed(f"{known} further variables, none of which looks wrong" if known else "none set"),)


def _oidc(env: Mapping[str, str]) -> Iterator[Finding]:
    asked = [name for name in env if name.startswith("OIDC_")]
    if not asked:
        return
    for name in ("OIDC_ISSUER", "OIDC_CLIENT_ID"):
        if not env.get(name):
            yield _wrong(f"{', '.join(sorted(asked))} set without {name}", name, "both, for a login by OIDC")
    if (issuer := env.get("OIDC_ISSUER", "")) and not issuer.startswith("https://"):
        yield _wrong("it does not begin with https://", "OIDC_ISSUER", "the https:// address of your identity provider")
    if issuer.endswith("/.well-known/openid-configuration"):
        yield _wrong("it is the address of the discovery document", "OIDC_ISSUER", "the part before /.well-known")
    method = env.get("OIDC_AUTH_METHOD", "implicit")
    if method not in {"implicit", "pkce"}:
        yield _wrong("it is neither of the two", "OIDC_AUTH_METHOD", '"implicit" or "pkce"')


def _others(env: Mapping[str, str]) -> Iterator[Finding]:
    length = env.get("SESSION_LENGTH")
    if length is not None and not (length.isdigit() and int(length) > 0):
        yield _wrong("it is not a number", "SESSION_LENGTH", "a number of hours, such as 720")
    if env.get("LOCAL_RESTORE", "").lower() == "true":
        yield warn(
            "the server is in its recovery mode, in which nobody can log in as usual",
            needed="not set, when the recovery is over",
            remedy="take LOCAL_RESTORE out of [server.env], then systemctl restart wandb-local",
            about="LOCAL_RESTORE",
        )
    for name, value in sorted(env.items()):
        if value != value.strip():
            yield _wrong("it begins or ends with white space", name, "the value alone")
        if not name.isupper():
            yield note("variables of W&B's server are in capitals", about=name)


def _wrong(found: str, name: str, needed: str) -> Finding:
    return fail(found, needed=needed, remedy=f"mend {name} in [server.env], then wbagent server diff", about=name)
