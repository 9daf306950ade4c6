"""A private certificate authority, by the openssl that makes them everywhere: root, intermediate, and what it signs.

What a server shows is good, or bad in one of the ways that are met: expired, for another name, self-signed, without its
intermediate.
"""

from __future__ import annotations

import shutil
import ssl
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.testbed.host import Host

_SETTINGS = """\
[own]
database=index.txt
new_certs_dir=.
rand_serial=yes
default_md=sha256
unique_subject=no
policy=any
copy_extensions=copy
[any]
commonName=supplied
[intermediate]
basicConstraints=critical,CA:TRUE
keyUsage=critical,keyCertSign,cRLSign
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
[careless]
basicConstraints=critical,CA:FALSE
authorityKeyIdentifier=none
[server]
basicConstraints=critical,CA:FALSE
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
"""
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Issued:
    """What a server needs: `chain` holds its certificate and then the intermediate, where that is shown, and `key`."""

    chain: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        """For a server in Python."""
        served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        served.load_cert_chain(self.chain, self.key)
        return served


class Authority:
    """Keeps its files in `directory`; `certificate` is the root's, for those who shall trust it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.certificate = directory / "root.pem"
        self._count = 0
        (directory / "index.txt").touch()
        (directory / "ca.cnf").write_text(_SETTINGS)
        # Python 3.13 asks for all that RFC 5280 does, such as this.
        usage = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
        self._new_key("req", "-x509", "-days", "99", "-subj", "/CN=test authority", *usage, name="root")
        self._new_key("req", "-new", "-subj", "/CN=test intermediate", name="intermediate")
        self._sign("root", "intermediate", datetime.now(UTC) - _DAY, datetime.now(UTC) + 98 * _DAY, "intermediate")

    @staticmethod
    def possible() -> bool:
        """Whether this machine has openssl."""
        return shutil.which("openssl") is not None

    def trusted_by(self, host: Host) -> None:
        """Let all programs of a booted host trust it; a program run here does with SSL_CERT_FILE=`certificate`."""
        host.write("/usr/local/share/ca-certificates/test-authority.crt", self.certificate.read_text())
        host.run(["update-ca-certificates"])

    def issue(
        self,
        name: str,
        begins: datetime | None = None,
        ends: datetime | None = None,
        *,
        complete: bool = True,
        careless: bool = False,
    ) -> Issued:
        """A certificate for `name` (a host's, or an address), valid from a day ago for 90 days unless said otherwise.

        `complete`: the intermediate is shown with it. `careless`: it lacks what RFC 5280 asks for.
        """
        now = datetime.now(UTC)
        own = self._name()
        self._new_key("req", "-new", *_subject(name), name=own)
        self._sign(
            "intermediate", own, begins or now - _DAY, ends or now + 90 * _DAY, "careless" if careless else "server"
        )
        chain = self.directory / f"{own}-chain.pem"
        shown = (own, "intermediate") if complete else (own,)
        chain.write_text("".join((self.directory / f"{part}.pem").read_text() for part in shown))
        return Issued(chain, self.directory / f"{own}.key")

    def expired(self, name: str) -> Issued:
        """One that was good until yesterday."""
        return self.issue(name, datetime.now(UTC) - 9 * _DAY, datetime.now(UTC) - _DAY)

    def self_signed(self, name: str) -> Issued:
        """One that nobody signed but itself."""
        own = self._name()
        self._new_key("req", "-x509", "-days", "9", *_subject(name), name=own)
        return Issued(self.directory / f"{own}.pem", self.directory / f"{own}.key")

    def _name(self) -> str:
        self._count += 1
        return f"certificate-{self._count}"

    def _sign(self, by: str, name: str, begins: datetime, ends: datetime, extensions: str = "server") -> None:
        dates = ["-startdate", f"{begins:%y%m%d%H%M%SZ}", "-enddate", f"{ends:%y%m%d%H%M%SZ}"]
        who = ["-name", "own", "-keyfile", f"{by}.key", "-cert", f"{by}.pem"]
        files = ["-in", f"{name}.request", "-out", f"{name}.pem", "-notext"]
        self._openssl("ca", "-batch", "-config", "ca.cnf", *who, *dates, "-extensions", extensions, *files)

    def _new_key(self, command: str, *arguments: str, name: str) -> None:
        out = f"{name}.pem" if "-x509" in arguments else f"{name}.request"
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key"]
        self._openssl(command, *key, "-out", out, *arguments)

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.directory, check=True, capture_output=True)


def _subject(name: str) -> list[str]:
    host = f"IP:{name}" if name[0].isdigit() else f"DNS:{name}"
    return ["-subj", f"/CN={name}", "-addext", f"subjectAltName={host}"]
