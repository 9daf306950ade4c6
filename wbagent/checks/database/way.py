"""The way to the server: where it runs, and whether what goes to it is encrypted."""

from __future__ import annotations

from collections.abc import Iterable

from wbagent.checks.check import Finding, fail, note, passed, warn
from wbagent.checks.database.look import SERVER_KEY, Look
from wbagent.server.resolving import Lookup, unseen


def met(look: Look) -> Finding:
    """That the account came in; who could not has its DatabaseError."""
    return passed(f"{look.server.grants.account} comes in at {look.url.address}")


def judge_name(host: Lookup) -> Finding:
    """Whether the server's container finds the database by the name in [server] mysql, as this host does."""
    trouble = unseen(host)
    if trouble is None:
        return passed(f"the server's container finds {host.name} as this host does")
    verdict = fail if trouble.sure else warn
    return verdict(
        f"[server] mysql: {trouble.said}" + (": the server does not start with it" if trouble.sure else ""),
        needed="a name or address by which the container comes to the database",
        remedy=f"in [server] mysql: {trouble.remedy}",
    )


def encryption(look: Look) -> Finding:
    """Whether the session is encrypted and the server's certificate verified, as the connection string asks."""
    about, needed = look.key, "tls=true in the connection string, and a certificate of MySQL's that this verifies"
    if look.url.socket:
        return passed("by a socket of this host: nothing to encrypt", about=about)
    if look.local:
        return passed(f"within this host, {look.encryption or 'in the clear'}", about=about)
    demand = _demand(look)
    if not look.encryption:
        offers = look.variables.get("tls_version", "") != ""
        return warn(
            f"in the clear over the network to {look.url.host}: who sits in between can read along",
            needed=needed,
            remedy=demand if offers else f"on {look.url.host}: ssl_ca, ssl_cert and ssl_key in my.cnf; then {demand}",
            about=about,
        )
    if look.key == SERVER_KEY and "tls" not in dict(look.url.options):
        return warn(
            f"{look.encryption} for this look, but without tls= in its connection string W&B's server may not encrypt",
            needed=needed,
            remedy=demand,
            about=about,
        )
    if look.url.tls in {"preferred", "skip-verify"}:
        return note(
            f"{look.encryption}, and nobody verifies MySQL's certificate (tls={look.url.tls}): who takes its address"
            " can read along",
            needed=needed,
            remedy=demand,
            about=about,
        )
    return passed(f"{look.encryption}, MySQL's certificate is verified", about=about)


def _demand(look: Look) -> str:
    url, key = look.url, look.key.split()[-1]
    where = f"{url.user}:PASSWORD@{url.host}:{url.port}/{url.database}"
    if look.key == SERVER_KEY:
        # The image has its own authorities, and no file of this host.
        return (
            f'{key} = "mysql://{where}?tls=true"   # where the image trusts the authority of MySQL\'s certificate, else'
            " tls=skip-verify: encrypted at least"
        )
    return (
        f'{key} = "mysql://{where}?tls=true&ssl-ca=FILE"   # FILE: the authority of MySQL\'s certificate, which has to'
        f" name {url.host}; what MySQL makes itself names no host"
    )


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
    if server.url.database == backup.url.database and backup.variables.get("super_read_only") == "ON":
        return [note(f"backups are made of another server, {backup.url.address}, which takes no writes: a replica")]
    return [
        warn(
            f"[database] url is {backup.url.address}, and the server works on {server.url.address}: the backups are of"
            " another database",
            needed="the same server and database in both",
            remedy="name the server's database in [database] url",
        )
    ]
