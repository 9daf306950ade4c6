"""The CORS rule that lets the pages of W&B's server read and store files in the bucket, beside the rules of others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final
from xml.sax.saxutils import escape

from botocore.exceptions import ClientError

from wbagent.bucket.s3_errors import explained
from wbagent.bucket.versions import error_code
from wbagent.config.dsn import S3URL
from wbagent.errors import BucketError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

Rule = Mapping[str, Any]
METHODS: Final = ("GET", "PUT", "HEAD")
_ID: Final = "wbagent"
_UNKNOWN: Final = {"NotImplemented", "MethodNotAllowed", "501", "405"}


class NoCorsRulesError(BucketError):
    """The store has no CORS rules of single buckets, as MinIO's server."""


def origin_of(host: str) -> str:
    """HOST as browsers name it in Origin: in lower case, without a port that goes without saying."""
    scheme, _, rest = host.lower().partition("://")
    return f"{scheme}://{rest.removesuffix(':443' if scheme == 'https' else ':80')}"


def wanted_rule(origin: str) -> Rule:
    """What W&B asks for: these methods from HOST, any header, and the ETag to be seen."""
    return {
        "ID": _ID,
        "AllowedOrigins": [origin],
        "AllowedMethods": list(METHODS),
        "AllowedHeaders": ["*"],
        "ExposeHeaders": ["ETag"],
    }


def allows(rule: Rule, origin: str) -> bool:
    """Whether this one rule allows all that is wanted."""
    exposed = {name.lower() for name in rule.get("ExposeHeaders", ())}
    return (
        any(fnmatchcase(origin, _literal(pattern)) for pattern in rule.get("AllowedOrigins", ()))
        and set(METHODS) <= set(rule.get("AllowedMethods", ()))
        and "*" in rule.get("AllowedHeaders", ())
        and "etag" in exposed
    )


def merged(rules: Sequence[Rule], origin: str) -> tuple[Rule, ...]:
    """The rules with the wanted one.

    Invariant: nothing changes where one allows it already; every rule stays but the one that this made earlier; the
    new one stands first, since a store takes the first that fits.
    """
    if any(allows(rule, origin) for rule in rules):
        return tuple(rules)
    return (wanted_rule(origin), *(rule for rule in rules if rule.get("ID") != _ID))


def read(client: S3Client, url: S3URL) -> tuple[Rule, ...]:
    """The bucket's rules; raises NoCorsRulesError and BucketError."""
    with explained(url, "show its CORS rules"):
        try:
            return tuple(client.get_bucket_cors(Bucket=url.bucket)["CORSRules"])
        except ClientError as error:
            if error_code(error) == "NoSuchCORSConfiguration":
                return ()
            raise _known(error, url) from None


def write(client: S3Client, url: S3URL, rules: Iterable[Rule]) -> None:
    """Replace the bucket's rules; raises NoCorsRulesError and BucketError."""
    with explained(url, "set its CORS rules"):
        try:
            document: Any = {"CORSRules": list(rules)}
            client.put_bucket_cors(Bucket=url.bucket, CORSConfiguration=document)
        except ClientError as error:
            raise _known(error, url) from None


def in_words(rule: Rule) -> str:
    """One line for a person."""
    parts = (
        ", ".join(rule.get("AllowedOrigins", ())),
        " ".join(rule.get("AllowedMethods", ())),
        f"headers {', '.join(rule.get('AllowedHeaders', ())) or 'none'}",
        f"exposes {', '.join(rule.get('ExposeHeaders', ())) or 'nothing'}",
    )
    return "; ".join(parts)


def as_xml(rules: Iterable[Rule]) -> str:
    """The document that S3 and `mcli cors set` take."""
    lines = ["<CORSConfiguration>"]
    for rule in rules:
        lines.append("  <CORSRule>")
        if rule.get("ID"):
            lines.append(f"    <ID>{escape(rule['ID'])}</ID>")
        for plural in ("AllowedOrigins", "AllowedMethods", "AllowedHeaders", "ExposeHeaders"):
            name = plural[:-1]
            lines += [f"    <{name}>{escape(value)}</{name}>" for value in rule.get(plural, ())]
        if "MaxAgeSeconds" in rule:
            lines.append(f"    <MaxAgeSeconds>{rule['MaxAgeSeconds']}</MaxAgeSeconds>")
        lines.append("  </CORSRule>")
    return "\n".join([*lines, "</CORSConfiguration>"])


def _literal(pattern: str) -> str:
    # S3 knows one wildcard, the star; fnmatch also takes these two for some.
    return pattern.replace("[", "[[]").replace("?", "[?]")


def _known(error: ClientError, url: S3URL) -> Exception:
    if error_code(error) not in _UNKNOWN:
        return error
    return NoCorsRulesError(
        f"{url.address} knows no CORS rules of a single bucket",
        hint="MinIO's server has one setting for all buckets: wbagent bucket cors --print",
    )
