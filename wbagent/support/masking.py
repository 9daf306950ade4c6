"""Takes secrets out of a text: those that are known, however they are written, and what looks like one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from wbagent.support.writings import coded, escaped

MASK: Final = "***"
# Hiding shorter ones everywhere would leave no text: they are hidden where a secret stands.
SHORTEST: Final = 4
# Of a secret that whoever wrote the line cut off, so many characters are enough to be taken for it.
_TELLING: Final = 12
_CODED_RUN: Final = re.compile(r"[A-Za-z0-9+/_=-]*")
# The end of a name that says that its value is a secret, whatever stands around it.
_NAMES: Final = (
    "(?:passw(?:or)?d|passwd|passphrase|secret|token|api_?key|access_?key|private_?key|licen[cs]e|(?<!import)(?<!load)credentials?|pwd)"
    r"[\w-]{0,40}"
)
_SPACES: Final = r"\s{0,8}"
_HEADERS: Final = "(?:proxy-)?authorization|x-api-key|x-auth-token|(?:set-)?cookie"
_VALUE: Final = r"[^\s\"'\\,;&<>]+"
# Services of Apprise, whose URLs hold tokens.
_SERVICES: Final = (
    "slack|discord|tgram|msteams|workflows|pover|pbul|twilio|sendgrid|mailgun|opsgenie|pagerduty|ifttt|line|sns|ses"
    "|ntfys?|gotifys?|mmosts?|rockets?|matrixs?|mailtos?|jsons?|xmls?|forms?|zulip|webex|guilded|signals?|whatsapp"
)
# The groups "before" and "after" stay. Every repetition before a character that has to come is bounded: in a line of
# megabytes, which the server writes, a search would take a time of their square otherwise.
_LOOKS: Final = tuple(
    re.compile(pattern, flags)
    for pattern, flags in (
        (r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
        (r"AGE-SECRET-KEY-[0-9A-Z-]+", re.IGNORECASE),
        (r"\b(?:AKIA|ASIA)[0-9A-Z]{12,}", 0),
        # A signed token, as W&B's licences are.
        (r"\beyJ[\w-]{8,}(?:\.[\w-]+){1,2}", 0),
        # W&B's API keys, with and without the word before them.
        (r"\b(?:local-)?[0-9a-f]{40}\b", 0),
        (r"\b(?:xox[a-z]-|gh[pousr]_|glpat-)[\w-]{8,}", 0),
        (r"(?P<before>https://hooks\.slack\.com/services/|https://hc-ping\.com/|/api/webhooks/)[\w/-]+", re.IGNORECASE),
        (r"(?P<before>\bX-Amz-(?:Signature|Credential|Security-Token)(?:=|%3D))[^&\s\"'\\]+", re.IGNORECASE),
        (rf"(?P<before>\b(?:{_SERVICES})://)(?!…|\*\*\*)[^\s\"'<>\\]+", 0),
        # scheme://user:password@host, also with a raw / or @ in the password; not scheme://host:port/path?mail=a@b.
        (
            r"(?P<before>[a-z]://[^\s\"'/:@]{0,200}:)(?!\d{1,5}(?:[/?#]|$))[^\s\"']{1,400}(?P<after>@)",
            re.IGNORECASE | re.MULTILINE,
        ),
        # How Go's driver for MySQL writes it, in the server's own messages.
        (r"(?P<before>[\w.-]:)[^\s\"'@]{1,400}(?P<after>@(?:tcp|unix)\()", 0),
        (rf"(?P<before>\b(?:{_HEADERS})\\*[\"']?{_SPACES}[:=]{_SPACES}\\*[\"']?)[^\"'\n\\]+", re.IGNORECASE),
        (r"(?P<before>\b(?:Bearer|Basic) )[\w.~+/=-]{8,}", 0),
        (r"(?P<before>\bIDENTIFIED (?:WITH \S+ )?(?:BY|AS) (?:PASSWORD )?\\*['\"])[^'\"\\]+", re.IGNORECASE),
        (rf"(?P<before>{_NAMES}\\*[\"']?{_SPACES}={_SPACES}\\*[\"']?){_VALUE}", re.IGNORECASE),
        (rf"(?P<before>{_NAMES}\\*[\"']{_SPACES}:{_SPACES}\\*[\"'])[^\"'\\]+", re.IGNORECASE),
        (rf"(?P<before>\b(?:password|passwd|secret)[\w-]*: ){_VALUE}", re.IGNORECASE),
    )
)


class Masking:
    """Takes out what it was given, and whatever looks like a secret.

    Invariant: in what `mask` returns none of `secrets` and `values` (from four characters on) is left, in no way of
    writing that `writings` knows, and of `secrets` not their first or last twelve characters either. `values` may be
    public words all the same, such as an address, whose beginning is in other texts too. A shorter one of `secrets` is
    left nowhere as a password in a connection string, nor as the value of one of `names` or a name like "key".
    """

    def __init__(self, secrets: Iterable[str], values: Iterable[str] = (), names: Iterable[str] = ()) -> None:
        secrets = frozenset(secrets)
        self._short = _short_ones({each for each in secrets if 0 < len(each) < SHORTEST}, names)
        self._secrets = tuple(sorted({each for each in secrets if len(each) >= _TELLING}))
        known = {each for each in (*secrets, *values) if len(each) >= SHORTEST}
        # The longest first: a password that is part of another one would leave the rest of that.
        self._known = tuple((escaped(each), coded(each)) for each in sorted(known, key=lambda each: (-len(each), each)))

    def mask(self, text: str) -> str:
        """The text without them."""
        for plain, codings in self._known:
            text = plain.sub(MASK, text)
            for coding in codings:
                text = _without_runs(text, coding)
        for secret in self._secrets:
            text = _without_beginnings(text, secret)
            text = _without_beginnings(text[::-1], secret[::-1])[::-1]
        for look in (*self._short, *_LOOKS):
            text = look.sub(_hidden, text)
        return text


def _short_ones(secrets: Iterable[str], names: Iterable[str]) -> tuple[re.Pattern[str], ...]:
    """Finds these where secrets stand, and nothing longer that begins or ends with them."""
    if not secrets:
        return ()
    any_of = "|".join(escaped(each).pattern for each in sorted(secrets, key=lambda each: (-len(each), each)))
    name = "|".join(
        (r"(?:pass|pwd|secret|token|cred|key)[\w-]{0,40}", *(rf"\b{re.escape(each)}" for each in sorted(names)))
    )
    # A number in JSON stays, so that it is JSON afterwards.
    quoted, bare = rf"\\*[\"']{_SPACES}[=:]{_SPACES}\\*[\"']", rf"{_SPACES}[=:]{_SPACES}\\*[\"']?"
    return (
        re.compile(rf"(?P<before>(?:{name})(?:{quoted}|{bare}))(?:{any_of})(?!\w)", re.IGNORECASE),
        re.compile(rf"(?P<before>:)(?:{any_of})(?P<after>@)", re.IGNORECASE),
    )


def _hidden(found: re.Match[str]) -> str:
    kept = found.groupdict()
    return f"{kept.get('before') or ''}{MASK}{kept.get('after') or ''}"


def _without_runs(text: str, coding: re.Pattern[str]) -> str:
    """Without what is found, and all the coded text that it stands in: its edges hold parts of the secret."""
    pieces, at = [], 0
    for found in coding.finditer(text):
        if found.start() < at:
            continue
        begin = found.start()
        while begin > at and _CODED_RUN.fullmatch(text[begin - 1]):
            begin -= 1
        end = _CODED_RUN.match(text, found.end())
        pieces += [text[at:begin], MASK]
        at = end.end() if end else found.end()
    return "".join([*pieces, text[at:]])


def _without_beginnings(text: str, secret: str) -> str:
    """Without what is left of a secret whose end was cut off."""
    pieces, at = [], 0
    while (begin := text.find(secret[:_TELLING], at)) >= 0:
        pieces += [text[at:begin], MASK]
        at = begin + _common(text[begin : begin + len(secret)], secret)
    return "".join([*pieces, text[at:]])


def _common(one: str, other: str) -> int:
    """How many characters both begin with."""
    for number, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return number
    return min(len(one), len(other))
