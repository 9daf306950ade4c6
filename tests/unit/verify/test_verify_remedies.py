"""Each line that `wandb verify` is known to print has the remedy that mends it."""

from __future__ import annotations

import pytest

from wbagent.verify.remedies import UNKNOWN, remedy_of

HOST = "https://wandb.example.com"


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        (
            'Failed to send a large payload. Check nginx.ingress.kubernetes.io/proxy-body-size is "0".',
            "client_max_body",
        ),
        ("Failed to send a large payload with error: 413 Client Error: Request Entity Too Large", "client_max_body"),
        ("Failed to send a large payload with error: HTTP 504: upstream timed out.", "wbagent check tls proxy"),
        ("Your object store does not have a valid CORs configuration, you must allow", "wbagent bucket cors"),
        ("Signed URL requests not made over https. SSL is required for secure communications.", "tls=true"),
        ("Connections are not made over https. SSL required for secure communications.", '[server] host = "https://'),
        ("History metrics don't match logged values. Check database encoding.", "wbagent check database"),
        (
            "Read summary values don't match expected value. Check database encoding, or contact W&B for support.",
            "wbagent check database",
        ),
        (
            "Unable to download file. Check SQS configuration, topic configuration and bucket permissions.",
            "wbagent check bucket",
        ),
        ("Unable to download artifact. Check bucket permissions.", "wbagent check bucket"),
        ("Unable to log artifact. something", "wbagent support-bundle"),
        ("Failed to create sweep: input: something", "journalctl -u wandb-local"),
        ("Contents of downloaded file do not match uploaded contents. Contact W&B for support.", "support-bundle"),
        ("Not logged in. Please log in using `wandb login`. See the docs: …", f"{HOST}/authorize"),
        ("Could not get viewer with default API key. Please relogin", f"{HOST}/authorize"),
        ("wandb.errors.CommError: Invalid or missing api_key. Run `wandb login`", f"{HOST}/authorize"),
        ("AuthenticationError: Failed to authenticate with x: user is not logged in", f"{HOST}/authorize"),
        (
            "AuthenticationError: Failed to authenticate with x: tls: … x509: certificate has expired",
            "wbagent check tls",
        ),
        ("requests.exceptions.SSLError: … CERTIFICATE_VERIFY_FAILED …", "wbagent check tls"),
        ("Cannot run wandb verify against api.wandb.ai", "[server] host"),
        ("Cannot run wandb verify against the W&B public cloud", "[server] host"),
        (
            "wandb version out of date, please run pip install --upgrade wandb==0.31.0",
            "pip install --upgrade wandb==0.31.0",
        ),
        (
            "wandb version is not supported by your local installation. … run `pip install --upgrade wandb==0.20.1`",
            "pip install --upgrade wandb==0.20.1",
        ),
        ("CommError: It appears that you do not have permission … (Error 404: Not Found)", f"{HOST} does not lead"),
        ("ConnectionError: … [Errno 111] Connection refused", "wbagent check tls proxy"),
        ("OSError: [Errno 28] No space left on device", "df -h /tmp"),
        ("ModuleNotFoundError: No module named 'pkg_resources'", "--install-client"),
        ("502 Server Error: Bad Gateway", "wbagent check tls proxy"),
        ("something that nobody has seen", UNKNOWN),
    ],
)
def test_known_lines(said: str, remedy: str) -> None:
    assert remedy in remedy_of(said, HOST)
