"""The proxy really cuts, refuses, stalls and slows down; shown with a real upload to a real store."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.testbed.ceph import Ceph
from tests.testbed.proxy import Proxy
from wbagent.config.dsn import S3URL

_BODY = b"x" * 4_000_000


@pytest.fixture
def proxy(ceph: Ceph) -> Iterator[Proxy]:
    with Proxy((ceph.address, ceph.port)) as running:
        yield running


@pytest.fixture
def upload_url(ceph: Ceph, bucket: S3URL, proxy: Proxy) -> str:
    """A signed address for one upload, by way of the proxy."""
    signed = ceph.client(proxy.address, proxy.port).generate_presigned_url(
        "put_object", {"Bucket": bucket.bucket, "Key": "object"}, ExpiresIn=600
    )
    assert f"{proxy.address}:{proxy.port}" in signed
    return signed


def _upload(url: str, timeout: float = 30) -> int:
    return requests.put(url, data=_BODY, timeout=timeout).status_code


def test_passes_everything_on(ceph: Ceph, bucket: S3URL, proxy: Proxy, upload_url: str) -> None:
    assert _upload(upload_url) == 200
    assert ceph.client().get_object(Bucket=bucket.bucket, Key="object")["Body"].read() == _BODY
    assert proxy.sent > len(_BODY)


def test_cuts_after_so_many_bytes_and_refuses_until_told_otherwise(
    ceph: Ceph, bucket: S3URL, proxy: Proxy, upload_url: str
) -> None:
    proxy.cut_after(1_000_000)
    with pytest.raises(requests.ConnectionError):
        _upload(upload_url)
    with pytest.raises(requests.ConnectionError):
        _upload(upload_url)
    assert ceph.keys(bucket.bucket) == []

    proxy.pass_on()
    assert _upload(upload_url) == 200
    assert ceph.keys(bucket.bucket) == ["object"]


def test_stalls_and_goes_on(proxy: Proxy, upload_url: str) -> None:
    proxy.stall_after(1_000_000)
    with pytest.raises(requests.RequestException, match="timed out"):
        _upload(upload_url, timeout=0.5)
    with ThreadPoolExecutor() as pool:
        uploading = pool.submit(_upload, upload_url)
        with pytest.raises(TimeoutError):
            uploading.result(0.3)
        proxy.pass_on()
        assert uploading.result(30) == 200


def test_cuts_what_is_open(proxy: Proxy, upload_url: str) -> None:
    proxy.stall_after(1_000_000)
    with ThreadPoolExecutor() as pool:
        uploading = pool.submit(_upload, upload_url)
        proxy.wait_for_sent(1_000_000, 30)
        proxy.cut()
        with pytest.raises(requests.ConnectionError):
            uploading.result(30)


def test_limits_the_rate(proxy: Proxy, upload_url: str) -> None:
    proxy.limit_after(2_000_000, 4e6)
    started = time.monotonic()
    assert _upload(upload_url) == 200
    assert time.monotonic() - started > 0.45
