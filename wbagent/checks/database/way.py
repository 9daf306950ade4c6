"""The way to the server: where it runs, and whether what goes to it is encrypted."""

from __future__ import annotations

from collections.abc import Iterable

from wbagent.checks.check import Finding, note, passed, warn
from wbagent.checks.database.look import Look


def met(look: Look) -> Finding:
    """That the account came in; who could not has its DatabaseError."""
    return passed(f"{look.server.grants.account} comes in at {look.url.address}")


def encryption(look: Look) -> Finding:
    """Whether the session is encrypted and the server's certificate verified, as the connection string asks."""
    mode, own = look.url.tls, dict(look.url.options).get("tls")
    demand = f"in {look.key}: ?tls=true&ssl-ca=FILE (FILE: ca.pem of the server's data directory)"
    if look.url.socket:
        return passed("by a socket of this host: nothing to encrypt", about=look.key)
    if look.local:
        how = look.encryption or "in the clear"
        return passed(f"within this host, {how}", about=look.key)
    if not look.encryption:
        offers = look.variables.get("have_ssl", "") == "YES" or look.variables.get("tls_version", "") != ""
        return warn(
            f"in the clear over the network to {look.url.host}: password hashes and data can be read on the way",
            needed="TLS, with the server's certificate verified",
            remedy=demand if offers else f"give mysqld its certificates (ssl_ca, ssl_cert, ssl_key), then {demand}",
            about=look.key,
        )
    if own is None and look.key.startswith("[server]"):
        return warn(
            f"{look.encryption} for this check, but the connection string has no tls=, without which W&B's server need"
            " not encrypt",
            needed="tls=true",
            remedy=demand,
            about=look.key,
        )
    if mode in {"preferred", "skip-verify"}:
        return note(
            f"{look.encryption}, but nobody verifies the server's certificate (tls={mode}): who stands in between can"
            " read along",
            needed="tls=true",
            remedy=demand,
            about=look.key,
        )
    return passed(f"{look.encryption}, the server's certificate is verified", about=look.key)


def place(look: Look) -> Finding:
    """Whether MySQL runs on this host: the guide's rule on its processors can be watched only where it runs."""
    if look.local:
        return passed("MySQL runs on this host: its processors, disks and memory are watched here")
    host = look.url.host
    return note(
        f"MySQL runs on {host}: the guide's rule (40 % of its processors for 5 minutes) can be watched only there",
        needed=f"the agent on {host} too (where {host} is a machine that you run)",
        remedy="\n".join(
            (
                f"scp wbagent_*_all.deb {host}:",
                f"ssh {host} apt install --no-install-recommends ./wbagent_*_all.deb",
                f"ssh {host} editor /etc/wbagent.toml   # [database] url and [alerts] to, as in man wbagent.toml",
                f"ssh {host} systemctl reload wbagent",
            )
        ),
    )


def same_database(server: Look, backup: Look) -> Iterable[Finding]:
    """Whether the backups are of the server's database."""
    if (server.server.uuid, server.url.database) == (backup.server.uuid, backup.url.database):
        return [passed("backups are made of the server's database")]
    return [
        warn(
            f"[database] url is {backup.url.address}, and the server works on {server.url.address}: the backups are of"
            " another database",
            needed="the same server and database in both",
            remedy="name the server's database in [database] url",
        )
    ]
