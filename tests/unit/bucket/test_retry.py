"""What is asked of a store again, and for how long."""

from __future__ import annotations

import pytest
from botocore import exceptions
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.bucket.test_s3_errors import refusal
from wbagent.bucket.retry import Persistence, is_transient, next_delay
from wbagent.errors import BackupError, BucketError

URL = "http://s3.example.com"


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (refusal("SlowDown", 503), True),
        (refusal("InternalError", 500), True),
        (refusal("RequestTimeout", 400), True),
        (refusal("TooManyRequests", 429), True),
        (exceptions.EndpointConnectionError(endpoint_url=URL), True),
        (exceptions.ReadTimeoutError(endpoint_url=URL), True),
        (exceptions.ConnectionClosedError(endpoint_url=URL), True),
        (exceptions.ResponseStreamingError(error="broken"), True),
        (exceptions.SSLError(endpoint_url=URL, error=OSError("EOF occurred in violation of protocol")), True),
        (exceptions.SSLError(endpoint_url=URL, error=OSError("[SSL: CERTIFICATE_VERIFY_FAILED]")), False),
        (refusal("AccessDenied", 403), False),
        (refusal("RequestTimeTooSkewed", 403), False),
        (refusal("QuotaExceeded", 403), False),
        (refusal("NoSuchUpload", 404), False),
        (refusal("BadDigest", 400), False),
        (refusal("NotImplemented", 501), False),
        (refusal("InsufficientStorage", 507), False),
        (exceptions.NoCredentialsError(), False),
        (ZeroDivisionError(), False),
    ],
)
def test_what_may_pass_by_itself(error: Exception, transient: bool) -> None:
    assert is_transient(error) is transient


@given(st.floats(0.1, 3600), st.data())
def test_attempts_end_with_the_limit_and_the_last_is_made_then(limit: float, data: st.DataObject) -> None:
    elapsed, failures = 0.0, 1
    while (delay := next_delay(failures, elapsed, limit, data.draw(st.floats(0, 1)))) is not None:
        assert 0 < delay <= 30
        elapsed, failures = elapsed + delay, failures + 1
        assert failures < 1000
    assert elapsed == pytest.approx(limit)


def test_no_limit_is_no_second_attempt() -> None:
    calls: list[int] = []

    def fails() -> None:
        calls.append(1)
        raise refusal("SlowDown", 503)

    with pytest.raises(exceptions.ClientError):
        Persistence(0, lambda error: None)(fails)
    assert len(calls) == 1


def test_stopped_while_it_waits() -> None:
    persistence = Persistence(3600, lambda error: persistence.stop())

    def fails() -> None:
        raise refusal("SlowDown", 503)

    with pytest.raises(BucketError, match="given up"):
        persistence(fails)


def test_exception_of_a_signal_handler_is_no_broken_connection() -> None:
    def interrupted() -> None:
        raise exceptions.HTTPClientError(error=BackupError("it was ended by SIGTERM"))

    with pytest.raises(BackupError, match="SIGTERM"):
        Persistence(3600, lambda error: None)(interrupted)
