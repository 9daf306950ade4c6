"""Files of certificate authorities that the server is to trust, checked when the configuration is read."""

from __future__ import annotations

import re
import stat
from pathlib import Path
from typing import Any, Final

_CERTIFICATE: Final = re.compile(r"-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----\s.+?-----END ", re.DOTALL)
_LARGEST: Final = 1 << 20
# PrivateTmp= (systemd.exec(5)).
_PRIVATE: Final = ("/tmp", "/var/tmp")  # noqa: S108 - nothing is written there
ITS_OWN_TMP: Final = "the server's unit has a /tmp of its own, where it is not: put it below /etc"


def read_certificates(value: Any) -> tuple[Path, ...]:
    """The paths of a list; ValueError says what is wrong with the first that the container could not use.

    A file that this user may not read is passed on: Docker mounts it as root.
    """
    if not isinstance(value, list | tuple) or not all(isinstance(path, str | Path) for path in value):
        raise ValueError('expected a list of files such as ["/etc/ssl/private-ca.crt"]')
    paths = tuple(Path(path) for path in value)
    for path in paths:
        if problem := _problem(path):
            raise ValueError(f"{path}: {problem}")
    return paths


def in_private_tmp(path: Path) -> bool:
    """Whether the file lies where the server's unit sees files of its own instead."""
    return any(path.is_relative_to(directory) for directory in _PRIVATE)


def _problem(path: Path) -> str:
    if not path.is_absolute():
        return "expected an absolute path"
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return "is not a file"
        with path.open(encoding="utf-8") as file:
            return _no_certificate(file.read(_LARGEST))
    except PermissionError:
        return ""
    except FileNotFoundError:
        return "there is no such file" + (f" ({ITS_OWN_TMP})" if in_private_tmp(path) else "")
    except (OSError, UnicodeDecodeError):
        return "cannot be read as text; expected a certificate in PEM form (openssl x509 -inform DER -in FILE)"


def _no_certificate(text: str) -> str:
    if "PRIVATE KEY-----" in text:
        return "holds a private key, which must not get into the container; keep the certificate alone in it"
    return "" if _CERTIFICATE.search(text) else "holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)"
