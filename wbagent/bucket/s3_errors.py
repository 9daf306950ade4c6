"""Turns what boto3 raises into one sentence with a hint; nothing in it is secret."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from boto3.exceptions import Boto3Error
from botocore import exceptions

from wbagent.bucket.store import NotAllowedError, NotStoredError, UnansweredError
from wbagent.config.dsn import S3URL
from wbagent.errors import BucketError

# Nobody is there, or says anything: a further request would wait as long.
UNANSWERED: Final = (
    exceptions.ConnectTimeoutError,
    exceptions.EndpointConnectionError,
    exceptions.ProxyConnectionError,
    exceptions.ReadTimeoutError,
)
_NO_CRC: Final = 'if [backup] sets request_checksum_calculation = "when_supported", take that out'
_NO_SUCH_REGION: Final = (
    "name the store's own region in the connection string, or none: ?region=… (Amazon's is us-east-1, not us-east1)"
)
_HINTS: Final = {
    "InvalidAccessKeyId": "check the access key in the connection string",
    "SignatureDoesNotMatch": "check the secret key in the connection string (special characters written as %XX)",
    "AuthorizationHeaderMalformed": "name the bucket's region in the connection string: ?region=…",
    "PermanentRedirect": "name the bucket's region in the connection string: ?region=…",
    "IllegalLocationConstraintException": _NO_SUCH_REGION,
    "InvalidLocationConstraint": _NO_SUCH_REGION,
    "BucketAlreadyExists": "another user of the store has a bucket of that name: choose another name",
    "TooManyBuckets": "let the store's administrator raise the number of buckets for these keys",
    "RequestTimeTooSkewed": "set this host's clock: timedatectl status",
    "NoSuchBucket": "create the bucket (wbagent bucket create [--backup]), or mend its name in the connection string",
    "NoSuchUpload": "it was removed while it was under way: by another host with the same [backup] owner, which clears"
    " up before its own backup (give each its own), or by a rule of the bucket; then make the backup again",
    "QuotaExceeded": "raise the bucket's quota or delete old objects",
    "EntityTooLarge": "raise [backup] part_size only as far as the store allows",
    "XAmzContentSHA256Mismatch": _NO_CRC,
    "NotImplemented": _NO_CRC,
}
_UNKNOWN_AUTHORITY: Final = ("unable to get local issuer", "unable to get issuer", "self-signed", "self signed")
_MISSING: Final = {"NoSuchKey", "404", "NotFound"}
_REFUSED: Final = {"AccessDenied", "403", "Forbidden", "AllAccessDisabled", "MethodNotAllowed", "NotImplemented"}


@contextmanager
def explained(url: S3URL, action: str) -> Iterator[None]:
    """Raise BucketError, one of its kinds where it is one, for what goes wrong in the block; `action`: "be listed"."""
    where = f"{url.address} could not {action}"
    try:
        yield
    except exceptions.ClientError as error:
        raise _refusal(error, where) from None
    except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError):
        raise NotAllowedError(
            f"{where}: there are no credentials", hint="write the keys into the connection string: s3://KEY:SECRET@…"
        ) from None
    except exceptions.SSLError as error:
        raise BucketError(f"{where}: {_short(error)}", hint=_tls_hint(str(error))) from None
    except (exceptions.BotoCoreError, Boto3Error, OSError) as error:
        kind = UnansweredError if isinstance(error, UNANSWERED) else BucketError
        raise kind(
            f"{where}: {_short(error)}", hint="check the network to the store, and that it is up, then do it again"
        ) from None
    except RecursionError:
        # botocore follows a redirect to another region that does not name the region for ever.
        raise BucketError(f"{where}: the store sends to another region", hint=_HINTS["PermanentRedirect"]) from None


def _refusal(error: exceptions.ClientError, where: str) -> BucketError:
    details = error.response.get("Error", {})
    code = str(details.get("Code", "unknown"))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    text = str(details.get("Message") or "").replace("\n", " ")[:200]
    message = f"{where}: {code}" + (f" ({text})" if text and text != code else "")
    if code in _MISSING:
        return NotStoredError(message, hint="see what there is: wbagent backup list --all")
    if code in _REFUSED or (status == 403 and code not in _HINTS):
        hint = _HINTS.get(code, "allow this to the access key in the store's policy, or check the keys")
        return NotAllowedError(message, hint=hint)
    return BucketError(message, hint=_HINTS.get(code, "ask the store's administrator"))


def _tls_hint(said: str) -> str:
    if any(words in said for words in _UNKNOWN_AUTHORITY):
        return (
            "this host does not know who signed the store's certificate: put that authority's own (PEM) into"
            " /usr/local/share/ca-certificates/NAME.crt, then: update-ca-certificates"
        )
    if "WRONG_VERSION_NUMBER" in said:
        return "the store does not speak TLS there: check the port, and tls= in the connection string"
    return "check the store's certificate, and tls= in the connection string"


def _short(error: Exception) -> str:
    return str(error).replace("\n", " ")[:300]
