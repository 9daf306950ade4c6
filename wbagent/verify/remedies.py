"""What mends each trouble that `wandb verify` tells of."""

from __future__ import annotations

import re
from typing import Final

from wbagent.checks.fronts import LINES, Need

_BODY: Final = "\n".join(
    (
        "the load balancer refuses requests of 10 MB:",
        *(f"  {front}: {line}" for front, line in LINES[Need.BODY].items()),
        '  nginx ingress: the annotation nginx.ingress.kubernetes.io/proxy-body-size: "0"',
        "then: wbagent check proxy",
    )
)
_STORE: Final = "wbagent check bucket; wbagent server diff shows whether the running server has this bucket and queue"
_SERVER: Final = "journalctl -u wandb-local --since -15min; wbagent server history"
_SUPPORT: Final = "wbagent support-bundle; ask W&B's support with it"
_WAY: Final = "wbagent check tls proxy"
_CLIENT: Final = "wbagent verify --install-client makes a client of its own that works"
UNKNOWN: Final = f"wbagent check; {_SERVER}"

# The most telling first. The words are those of wandb/sdk/verify/verify.py, and of the errors that end it.
_KNOWN: Final = (
    (r"proxy-body-size|\b413\b|Request Entity Too Large", _BODY),
    (
        r"CORs configuration|allow GET and PUT to Origin",
        "wbagent bucket cors",
    ),
    (
        r"Signed URL requests not made over https",
        """\
give the store a certificate and add tls=true to the address in [server] bucket
then: systemctl restart wandb-local""",
    ),
    (
        r"Connections are not made over https",
        'let the load balancer terminate TLS and set [server] host = "https://…"; then: systemctl restart wandb-local',
    ),
    (r"Check database encoding", "wbagent check database: character set utf8mb4 of the database and every table"),
    (
        r"(?i)certificate|SSLError|x509",
        """\
wbagent check tls; self-signed certificates are not supported
an authority of your own belongs in [monitor.certificate] authorities, and on each user's machine""",
    ),
    (
        r"(?i)not logged in|could not get viewer|api[_ ]key|\b401\b",
        """\
log in at {host}/authorize, copy the key into a file (0600) and name it with --api-key-file
(a key of another server, or of W&B's cloud, is refused)""",
    ),
    (r"Cannot run wandb verify against", "[server] host is W&B's public cloud; name the address of your own server"),
    (r"wandb version (?:out of date|is not supported).*?(wandb==[0-9.a-z]+)", "pip install --upgrade {found}"),
    (r"wandb version (?:out of date|is not supported)", "wbagent verify --install-client takes the newest one"),
    (
        r"SQS configuration|[Bb]ucket permissions|Unable to (?:download|read) file|SignatureDo|AccessDenied",
        _STORE,
    ),
    (r"(?i)refused|timed? ?out|timeout|resolution|resolve|unreachable|connection (?:reset|aborted)", _WAY),
    (r"No space left on device", "df -h /tmp; make room there"),
    (r"ModuleNotFoundError|ImportError|SyntaxError|GLIBC", _CLIENT),
    (r"\b404\b|not found|Failed to find resource", "{host} does not lead to W&B's server: wbagent check proxy"),
    (r"\b50[234]\b", f"the load balancer does not get the server's answers: {_WAY}"),
    (r"Failed to send a large payload", f"{_WAY}; raise the load balancer's time-outs"),
    (r"[Ss]weep|[Aa]rtifact|Failed to log", f"{_SERVER}\n{_SUPPORT}"),
    (r"Contact W&B for support|contact W&B for support", _SUPPORT),
)


def remedy_of(reasons: str, host: str) -> str:
    """What to do about it; `UNKNOWN` where nobody knew these words."""
    for pattern, remedy in _KNOWN:
        if match := re.search(pattern, reasons, re.DOTALL):
            return remedy.replace("{host}", host).replace("{found}", match[1] if match.lastindex else "")
    return UNKNOWN
