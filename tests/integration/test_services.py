"""The services of the test bed are real: they refuse what a real one refuses, and break when told to."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest
import requests

from tests.testbed.ceph import Ceph
from tests.testbed.errors import BedError
from tests.testbed.receiver import Receiver
from wbagent.config.dsn import S3URL


def test_store_serves_a_signed_url_and_refuses_a_tampered_one(ceph: Ceph, bucket: S3URL) -> None:
    client = ceph.client()
    client.put_object(Bucket=bucket.bucket, Key="a b", Body=b"content")
    url = client.generate_presigned_url("get_object", {"Bucket": bucket.bucket, "Key": "a b"}, ExpiresIn=60)

    answer = requests.get(url, timeout=10)
    assert (answer.status_code, answer.content) == (200, b"content")
    address, query = url.split("?")
    signed = dict(parse_qsl(query))
    tampered = {**signed, "X-Amz-Signature": signed["X-Amz-Signature"][::-1]}
    assert requests.get(address, params=tampered, timeout=10).status_code == 403
    assert requests.get(address, timeout=10).status_code == 403


def test_store_is_gone_while_its_gateway_is_stopped_and_keeps_its_objects() -> None:
    with Ceph() as store:
        store.create_bucket("files")
        store.client().put_object(Bucket="files", Key="key", Body=b"content")
        store.stop_gateway()
        with pytest.raises(requests.ConnectionError):
            requests.get(store.endpoint_url, timeout=10)
        store.start_gateway()
        assert store.keys("files") == ["key"]


def _post(receiver: Receiver, timeout: float) -> int:
    alert = {"title": "disk", "message": "full"}
    return requests.post(f"http://{receiver.address}:{receiver.port}/alerts", json=alert, timeout=timeout).status_code


def test_receiver_records_refuses_and_hangs(receiver: Receiver) -> None:
    receiver.behave("refuse")
    assert _post(receiver, 10) == 503
    receiver.behave("hang")
    with pytest.raises(requests.ReadTimeout):
        _post(receiver, 0.2)
    with pytest.raises(BedError, match=r"accepted=False disk\nfull"):
        receiver.wait_for(lambda alert: True, 0.01)
    receiver.behave("accept")
    assert _post(receiver, 10) == 200

    assert receiver.wait_for(lambda alert: "full" in alert.text, 10).path == "/alerts"
    assert [alert.accepted for alert in receiver.alerts] == [False, False, True]
