"""The load balancers that stand before a server: which one it is here, and the lines that each of them needs."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from enum import StrEnum
from typing import Final

from wbagent.addresses import THIS_MACHINE, addresses_of
from wbagent.checks.public import Answer, AwayError, Public
from wbagent.config.server import ServerSettings
from wbagent.server.resolving import resolved

_ANY: Final = ("0.0.0.0", "::")


class Front(StrEnum):
    """Those whose lines are known."""

    NGINX = "nginx"
    HAPROXY = "HAProxy"
    CADDY = "Caddy"


class Need(StrEnum):
    """What a load balancer must do."""

    UPSTREAM = "upstream"
    BODY = "body"
    UPGRADE = "upgrade"
    HOST = "host"
    PROTO = "X-Forwarded-Proto"
    FOR = "X-Forwarded-For"
    FORWARDED_HOST = "X-Forwarded-Host"
    STREAM = "stream"
    PATIENCE = "patience"
    REDIRECT = "redirect"
    HSTS = "hsts"
    CHAIN = "chain"
    PROTOCOLS = "protocols"


# The test bed's fronts are set up with these very lines (tests/testbed/fronts.py). nginx: within server {}, where
# nothing else is said; Caddy: within the site's block, or that of reverse_proxy.
LINES: Final[Mapping[Need, Mapping[Front, str]]] = {
    Need.UPSTREAM: {
        Front.NGINX: "location / { proxy_pass http://{upstream}; }",
        Front.HAPROXY: "server wandb {upstream}",
        Front.CADDY: "reverse_proxy {upstream}",
    },
    Need.BODY: {
        Front.NGINX: "client_max_body_size 0;",
        Front.HAPROXY: "take out the http-request deny that looks at content-length or req.body_size",
        Front.CADDY: "take out request_body { max_size … }",
    },
    Need.UPGRADE: {
        Front.NGINX: "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade;\n"
        "       proxy_set_header Connection $connection_upgrade;\n"
        "       and in http {}: map $http_upgrade $connection_upgrade { default upgrade; '' close; }",
        Front.HAPROXY: "take out http-request del-header Upgrade and Connection; timeout tunnel 1h",
        Front.CADDY: "take out request_header -Upgrade and -Connection",
    },
    Need.HOST: {
        Front.NGINX: "proxy_set_header Host $http_host;",
        Front.HAPROXY: "take out http-request set-header Host …: it is kept where nothing changes it",
        Front.CADDY: "take out header_up Host …: it is kept where nothing changes it",
    },
    Need.PROTO: {
        Front.NGINX: "proxy_set_header X-Forwarded-Proto $scheme;",
        Front.HAPROXY: "http-request set-header X-Forwarded-Proto https if { ssl_fc }",
        Front.CADDY: "take out header_up -X-Forwarded-Proto: it is set where nothing removes it",
    },
    Need.FOR: {
        Front.NGINX: "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
        Front.HAPROXY: "option forwardfor",
        Front.CADDY: "take out header_up -X-Forwarded-For: it is set where nothing removes it",
    },
    Need.FORWARDED_HOST: {
        Front.NGINX: "proxy_set_header X-Forwarded-Host $http_host;",
        Front.HAPROXY: "http-request set-header X-Forwarded-Host %[req.hdr(Host)]",
        Front.CADDY: "take out header_up -X-Forwarded-Host: it is set where nothing removes it",
    },
    Need.STREAM: {
        Front.NGINX: "proxy_buffering off;",
        Front.HAPROXY: "take out http-response wait-for-body …: answers are passed on at once where nothing holds them",
        Front.CADDY: "reverse_proxy {upstream} { flush_interval -1 }, without buffer_responses or response_buffers",
    },
    Need.PATIENCE: {
        Front.NGINX: "proxy_read_timeout 300s; proxy_send_timeout 300s; client_body_timeout 300s;",
        Front.HAPROXY: "timeout server 300s, timeout client 300s, timeout tunnel 1h",
        Front.CADDY: "take out response_header_timeout and read_timeout: there is no limit where none is set",
    },
    Need.REDIRECT: {
        Front.NGINX: "server { listen 80; server_name {host}; return 301 https://{named}$request_uri; }",
        Front.HAPROXY: "bind :80 and http-request redirect scheme https code 301 unless { ssl_fc }",
        Front.CADDY: "http://{host} { redir https://{named}{uri} 301 }",
    },
    Need.HSTS: {
        Front.NGINX: 'add_header Strict-Transport-Security "max-age=31536000" always;',
        Front.HAPROXY: 'http-response set-header Strict-Transport-Security "max-age=31536000"',
        Front.CADDY: 'header Strict-Transport-Security "max-age=31536000"',
    },
    Need.CHAIN: {
        Front.NGINX: "ssl_certificate fullchain.pem; (the server's certificate first, then the intermediate's)",
        Front.HAPROXY: "bind :443 ssl crt all.pem (the server's certificate, the intermediate's, the key)",
        Front.CADDY: "tls fullchain.pem key.pem (the server's certificate first, then the intermediate's)",
    },
    Need.PROTOCOLS: {
        Front.NGINX: "ssl_protocols TLSv1.2 TLSv1.3;",
        Front.HAPROXY: "ssl-default-bind-options ssl-min-ver TLSv1.2 (in global, and no ssl-min-ver on the bind line)",
        Front.CADDY: "take out protocols …: Caddy offers TLS 1.2 and 1.3",
    },
}


def remedy(need: Need, front: Front | None, public: Public, upstream: str) -> str:
    """The line for this load balancer, or a line for each when it is not known."""

    def line(kind: Front) -> str:
        text = LINES[need][kind].replace("{upstream}", upstream).replace("{host}", public.host)
        return f"{kind}: {text.replace('{named}', public.named)}"

    return line(front) if front else "\n".join(line(kind) for kind in Front)


def local(server: ServerSettings) -> Public:
    """The server itself, as this host reaches it."""
    anywhere = server.bind in {"0.0.0.0", "::"}
    return Public(f"http://{'127.0.0.1' if anywhere else server.bind}:{server.port}")


def front_of(public: Public, server: ServerSettings) -> Front | None:
    """Which one stands before the server, None where that cannot be told."""
    if found := listening(public):
        return found
    behind: Answer | None = None
    with suppress(AwayError):
        behind = local(server).get("/healthz")
    try:
        return recognised(public.get("/healthz"), behind)
    except AwayError:
        return None


def recognised(answer: Answer, direct: Answer | None) -> Front | None:
    """Which one an answer is from, by its Server header, unless the server behind says the same: W&B's has an nginx.

    HAProxy has no header of its own, so it is never seen here.
    """
    behind = direct.headers.get("server", "").lower() if direct else ""
    said = answer.headers.get("server", "").lower()
    if not said or said == behind:
        return None
    words = {"nginx": Front.NGINX, "openresty": Front.NGINX, "caddy": Front.CADDY}
    return next((front for word, front in words.items() if said.startswith(word)), None)


def at_this_host(public: Public) -> bool:
    """Whether the public address is one of this host's own."""
    return THIS_MACHINE in addresses_of(public.host)


def listening(public: Public) -> Front | None:
    """Which one listens at the public address, where that is this host's and the caller may see its programs."""
    import psutil  # noqa: PLC0415 - 20 ms

    if not at_this_host(public):
        return None
    # Others may have the same port at other addresses of this host.
    places = {(each, public.port) for each in (*resolved(public.host), *_ANY)}
    try:
        pids = {
            found.pid
            for found in psutil.net_connections(kind="tcp")
            if found.status == psutil.CONN_LISTEN and tuple(found.laddr) in places and found.pid
        }
        names = {psutil.Process(pid).name() for pid in pids}
    except psutil.Error:
        return None
    return next((front for front in Front if front.lower() in names), None)
