"""Makes the bucket that an answer of `wbagent init` names and the store does not have, with the keys of that answer."""

from __future__ import annotations

from wbagent.config.dsn import S3URL
from wbagent.errors import BucketError
from wbagent.setup.trying import Tried


def make_bucket(text: str) -> Tried:
    """Only the bucket itself, in its region: its CORS rule comes with the other steps, once all is written."""
    from wbagent.bucket.client import open_client  # noqa: PLC0415 - boto3, which only this answer needs
    from wbagent.bucket.making import Wanted, carry_out, look, steps  # noqa: PLC0415 - as above
    from wbagent.bucket.s3_errors import explained  # noqa: PLC0415 - as above

    # Nobody has asked a store of another kind whether the bucket is there.
    url = S3URL.parse(text)
    try:
        with explained(url, "be opened"):
            client = open_client(url, "when_required")
        found = look(client, url)
        list(carry_out(client, url, steps(found, Wanted()), found, Wanted()))
    except BucketError as error:
        return Tried(problem=error.message, hint=error.hint)
    return Tried(f"the bucket {url.bucket} is made, and stays")
