"""What boto3 raises becomes one sentence with a hint, told apart where the caller has to know."""

from __future__ import annotations

import pytest
from botocore import exceptions

from wbagent.bucket.s3_errors import explained
from wbagent.bucket.store import NotAllowedError, NotStoredError, UnansweredError
from wbagent.config.dsn import S3URL
from wbagent.errors import BucketError

URL = S3URL("KEY", "very-secret", "s3.example.com", 9000, "bucket", "prefix")


def refusal(code: str, status: int = 400) -> exceptions.ClientError:
    return exceptions.ClientError(
        {"Error": {"Code": code, "Message": "said"}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]
        "PutObject",
    )


@pytest.mark.parametrize(
    ("error", "kind", "hint"),
    [
        (refusal("NoSuchKey", 404), NotStoredError, "backup list"),
        (refusal("404", 404), NotStoredError, "backup list"),
        (refusal("AccessDenied", 403), NotAllowedError, "policy"),
        (refusal("NotImplemented", 501), NotAllowedError, "request_checksum_calculation"),
        (refusal("SomethingNew", 403), NotAllowedError, "policy"),
        (refusal("SignatureDoesNotMatch", 403), BucketError, "secret key"),
        (refusal("RequestTimeTooSkewed", 403), BucketError, "timedatectl"),
        (refusal("PermanentRedirect", 301), BucketError, "region"),
        (refusal("NoSuchBucket", 404), BucketError, "create the bucket"),
        (refusal("NoSuchUpload", 404), BucketError, "same [backup] owner"),
        (refusal("SlowDown", 503), BucketError, "administrator"),
        (exceptions.NoCredentialsError(), NotAllowedError, "s3://KEY:SECRET@"),
        (exceptions.EndpointConnectionError(endpoint_url="http://s3.example.com"), UnansweredError, "network"),
        (exceptions.ConnectTimeoutError(endpoint_url="http://s3.example.com"), UnansweredError, "network"),
        (exceptions.ReadTimeoutError(endpoint_url="http://s3.example.com"), UnansweredError, "network"),
        (exceptions.SSLError(endpoint_url="http://s3", error=OSError("bad")), BucketError, "certificate"),
        (ConnectionResetError("reset"), BucketError, "network"),
        (RecursionError(), BucketError, "region"),
    ],
)
def test_kinds_and_hints(error: Exception, kind: type[BucketError], hint: str) -> None:
    with pytest.raises(BucketError) as caught, explained(URL, "take a"):
        raise error
    assert type(caught.value) is kind
    assert hint in caught.value.hint
    assert caught.value.message.startswith("s3.example.com:9000/bucket/prefix could not take a: ")
    assert "very-secret" not in caught.value.message + caught.value.hint


def test_other_faults_are_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError), explained(URL, "take a"):
        raise ZeroDivisionError
