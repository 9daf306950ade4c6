"""The server's bucket, from the package on a booted host: its rule set, then all that can be well is well."""

from __future__ import annotations

import json

from tests.testbed.bed import Bed, configure


def test_bucket_is_set_up_and_then_has_nothing_but_its_way_to_mend(hosts: Bed) -> None:
    web, url = hosts.web, hosts.bucket("wandb-files")
    configure(web, hosts.web_settings())
    refused = web.run(["wbagent", "bucket", "create"], check=False)
    assert (refused.returncode, "--yes" in refused.stderr) == (64, True)
    web.run(["wbagent", "bucket", "create", "--yes"])
    looked = web.run(["wbagent", "bucket", "check", "--json"], check=False)
    results = json.loads(looked.stdout)["results"]
    # The bed's store speaks no TLS and its bucket keeps no versions; its address is one that the bed's users reach.
    others = [(each["check"], each["verdict"]) for each in results if each["verdict"] != "pass"]
    assert others == [("endpoint", "warn"), ("versioning", "note")]
    assert {"signed URL", "CORS", "multipart", "users' address"} <= {each["check"] for each in results}
    assert url.secret_key not in looked.stdout + looked.stderr
    assert hosts.store.keys(url.bucket) == []
    hosts.store.client().delete_bucket_cors(Bucket=url.bucket)
