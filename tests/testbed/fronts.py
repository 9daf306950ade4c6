"""Real nginx, HAProxy and Caddy before a server, set up as they should be, or wrong in one of the ways that are met."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.testbed.authority import Issued
from tests.testbed.program import WORK, Program, inside
from tests.testbed.rootfs import FRONTS, root_file_system
from tests.testbed.scratch import scratch

KINDS: Final = ("nginx", "haproxy", "caddy")
_READY_WITHIN_S: Final = 30.0
_PRIVATE: Final = "backend.internal"


@dataclass(frozen=True)
class Setup:
    """How a front is set up; the defaults are what W&B's guide asks for.

    `certificate` None: no TLS at all, on `port`. `body_limit` in bytes, 0: none. `upgrade`: Upgrade and Connection are
    passed on. `host`: "kept" as the client sent it, "portless" (nginx's `$host`), or "replaced" by a name of the
    front's own. `forwarded`: X-Forwarded-* are set. `buffering`: answers are collected before they are passed on.
    `redirect`: http:// (at `http_port`) leads to https://, instead of being served. `weak`: TLS 1.0 and 1.1 too; Caddy
    can not. `answer_within`: seconds that the server may be silent; 0: the program's own default. `asks`: it asks the
    server for /ready all the while, and sends it nothing while that fails; nginx can not.
    """

    upstream: str
    certificate: Issued | None
    address: str = "127.0.0.1"
    port: int = 443
    http_port: int = 80
    body_limit: int = 0
    upgrade: bool = True
    host: str = "kept"
    forwarded: bool = True
    buffering: bool = False
    hsts: bool = True
    redirect: bool = True
    weak: bool = False
    answer_within: int = 0
    asks: bool = False

    @property
    def url(self) -> str:
        """The address that users open, where the front's own address is its name."""
        scheme, usual = ("https", 443) if self.certificate else ("http", 80)
        return f"{scheme}://{self.address}" + (f":{self.port}" if self.port != usual else "")


@contextmanager
def front(kind: str, setup: Setup, network: Path | None = None) -> Iterator[Program]:
    """Run it for the length of the block, in a network namespace (its file) where one is given."""
    tree = root_file_system(FRONTS)
    write, command, sign = _PROGRAMS[kind]
    with scratch(kind) as work:
        if setup.certificate:
            shutil.copy(setup.certificate.chain, work / "chain.pem")
            shutil.copy(setup.certificate.key, work / "chain.pem.key")
        (work / "front.conf").write_text(write(setup))
        program = Program(kind, inside(tree, work, command, network=network), work / "log")
        try:
            program.wait_for_line(sign, _READY_WITHIN_S)
            yield program
        finally:
            program.stop(timeout=10)


def _nginx(setup: Setup) -> str:
    host = {"kept": "$http_host", "portless": "$host", "replaced": _PRIVATE}[setup.host]
    lines = [f"proxy_pass http://{setup.upstream};", "proxy_http_version 1.1;", f"proxy_set_header Host {host};"]
    lines += [f"proxy_buffering {'on' if setup.buffering else 'off'};", f"client_max_body_size {setup.body_limit};"]
    if setup.upgrade:
        lines += ["proxy_set_header Upgrade $http_upgrade;", "proxy_set_header Connection $connection_upgrade;"]
    if setup.forwarded:
        names = {"Proto": "$scheme", "Host": "$http_host", "Port": "$server_port", "For": "$proxy_add_x_forwarded_for"}
        lines += [f"proxy_set_header X-Forwarded-{name} {value};" for name, value in names.items()]
        lines += ["proxy_set_header X-Real-IP $remote_addr;"]
    if setup.answer_within:
        lines += [f"proxy_read_timeout {setup.answer_within}s;"]
    served = "\n        ".join(lines)
    listen = f"listen {setup.address}:{setup.port}"
    plain = ""
    if setup.certificate:
        listen += f" ssl;\n      ssl_certificate {WORK}/chain.pem;\n      ssl_certificate_key {WORK}/chain.pem.key"
        if setup.weak:
            listen += ";\n      ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3;\n      ssl_ciphers DEFAULT:@SECLEVEL=0"
        if setup.hsts:
            listen += ';\n      add_header Strict-Transport-Security "max-age=31536000" always'
        port = "" if setup.port == 443 else f":{setup.port}"
        answer = f"return 301 https://$host{port}$request_uri;" if setup.redirect else f"location / {{ {served} }}"
        plain = f"server {{ listen {setup.address}:{setup.http_port}; {answer} }}"
    temporary = "\n    ".join(
        f"{name}_temp_path {WORK}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""\
daemon off;
pid {WORK}/nginx.pid;
error_log stderr notice;
events {{}}
http {{
    access_log off;
    {temporary}
    map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}
    server {{
      {listen};
      location / {{
        {served}
      }}
    }}
    {plain}
}}
"""


def _haproxy(setup: Setup) -> str:
    secured = f" ssl crt {WORK}/chain.pem" if setup.certificate else ""
    if secured and setup.weak:
        secured += " ssl-min-ver TLSv1.0 ciphers DEFAULT:@SECLEVEL=0"
    rules = []
    if setup.certificate:
        rules += [f"bind {setup.address}:{setup.http_port}"]
        if setup.redirect:
            port = "" if setup.port == 443 else f":{setup.port}"
            goal = f"https://%[req.hdr(Host),field(1,:)]{port}%[capture.req.uri]"
            rules += [f"http-request redirect location {goal} code 301 unless {{ ssl_fc }}"]
        if setup.hsts:
            rules += ['http-response set-header Strict-Transport-Security "max-age=31536000"']
    if setup.body_limit:
        rules += [f"http-request deny deny_status 413 if {{ req.hdr_val(content-length) gt {setup.body_limit} }}"]
    if not setup.upgrade:
        rules += ["http-request del-header Upgrade", "http-request del-header Connection"]
    if setup.forwarded:
        rules += ["option forwardfor", "http-request set-header X-Forwarded-Proto https if { ssl_fc }"]
        rules += ["http-request set-header X-Forwarded-Proto http if !{ ssl_fc }"]
        rules += ["http-request set-header X-Forwarded-Host %[req.hdr(Host)]"]
    # After X-Forwarded-Host, which tells the one that the client sent.
    if setup.host != "kept":
        shown = "%[req.hdr(Host),field(1,:)]" if setup.host == "portless" else _PRIVATE
        rules += [f"http-request set-header Host {shown}"]
    if setup.buffering:
        rules += ["http-response wait-for-body time 10s at-least 1m"]
    asked = ""
    if setup.asks:
        rules += ["option httpchk GET /ready"]
        asked = " check inter 500ms"
    listed = "\n    ".join(rules)
    return f"""\
global
    log stderr format raw local0 notice
defaults
    mode http
    timeout connect 5s
    timeout client 1h
    timeout server {setup.answer_within or 3600}s
    timeout tunnel 1h
listen wandb
    bind {setup.address}:{setup.port}{secured}
    {listed}
    server wandb {setup.upstream}{asked}
"""


def _caddy(setup: Setup) -> str:
    passing = {"kept": (), "portless": ("header_up Host {host}",), "replaced": (f"header_up Host {_PRIVATE}",)}[
        setup.host
    ]
    lines = list(passing)
    if not setup.forwarded:
        lines += [f"header_up -X-Forwarded-{name}" for name in ("Proto", "Host", "For")]
    if setup.buffering:
        lines += ["buffer_responses"]
    if setup.asks:
        lines += ["health_uri /ready", "health_interval 500ms"]
    if setup.answer_within:
        lines += [f"transport http {{\n response_header_timeout {setup.answer_within}s\n }}"]
    site = [f"bind {setup.address}"]
    if setup.certificate:
        site += [f"tls {WORK}/chain.pem {WORK}/chain.pem.key"]
        if setup.hsts:
            site += ['header Strict-Transport-Security "max-age=31536000"']
    if setup.body_limit:
        site += [f"request_body {{\n max_size {setup.body_limit}\n }}"]
    if not setup.upgrade:
        site += ["request_header -Upgrade", "request_header -Connection"]
    serve = f"reverse_proxy {setup.upstream} {{\n" + "\n".join(lines) + "\n}"
    scheme, port = ("https", setup.port) if setup.certificate else ("http", setup.port)
    plain = ""
    if setup.certificate:
        shown = "" if setup.port == 443 else f":{setup.port}"
        answer = f"redir https://{{host}}{shown}{{uri}} 301" if setup.redirect else serve
        plain = f"http://:{setup.http_port} {{\nbind {setup.address}\n{answer}\n}}\n"
    options = "admin off\nauto_https off\n"
    return f"{{\n{options}}}\n{scheme}://:{port} {{\n" + "\n".join((*site, serve)) + f"\n}}\n{plain}"


_PROGRAMS: Final[dict[str, tuple[Callable[[Setup], str], list[str], str]]] = {
    "nginx": (_nginx, ["nginx", "-c", f"{WORK}/front.conf"], "start worker process"),
    "haproxy": (_haproxy, ["haproxy", "-W", "-db", "-f", f"{WORK}/front.conf"], "Loading success"),
    "caddy": (
        _caddy,
        ["env", f"HOME={WORK}", "caddy", "run", "--config", f"{WORK}/front.conf", "--adapter", "caddyfile"],
        "serving initial configuration",
    ),
}
