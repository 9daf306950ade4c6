"""Setting the bed back between tests to a package that was just installed, without booting again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.testbed.bed import BUCKETS, PRISTINE, Bed, create_database
from tests.testbed.host import Host
from tests.testbed.package import install, installed_version, version_of

# As the package's own maintainer scripts leave a host; what a test may have changed goes.
_SET_BACK = rf"""
units="wandb-local*.service wbagent.service wbagent-*.service"
# Until nothing is left: what ends starts others by its OnSuccess= (a drill after its backup) and OnFailure=, and a stop
# takes only what was there when it began.
while [ "$(systemctl list-units --no-legend $units)" ]; do
    # In order where that is quick. What takes its time to stop, or never got the signal, is killed: nobody needs it.
    timeout 1 systemctl stop $units ||
        {{ docker ps --quiet | xargs --no-run-if-empty docker kill; systemctl stop $units; }}
    systemctl reset-failed $units
done
if command -v docker; then
    systemctl reset-failed docker.service docker.socket
    systemctl start docker.socket docker.service
    docker ps --all --quiet | xargs --no-run-if-empty docker rm --force --volumes
    docker volume prune --all --force
    if [ -e /etc/docker/daemon.json ]; then
        # Restarted, not reloaded: what was set there and is named no longer, Docker keeps until its end.
        rm /etc/docker/daemon.json
        systemctl restart docker.socket docker.service
    fi
fi >/dev/null
rm -rf /etc/systemd/system/wandb-local.service.d /etc/systemd/system/wbagent*.service.d
rm -rf /run/systemd/system/wandb-local.service.d /run/systemd/system/wbagent*.service.d
rm -rf /var/lib/wbagent /etc/wbagent.toml.d /etc/.wbagent.toml.*
rm -f /etc/credstore/*wbagent.* /etc/credstore.encrypted/*wbagent.* /etc/credstore*/.wbagent-init.*
! systemctl is-enabled --quiet wandb-local.service || systemctl disable --quiet wandb-local.service
systemd-tmpfiles --create wbagent.conf
install --mode=0640 --owner=root --group=wbagent {PRISTINE} /etc/wbagent.toml
systemctl show --property=NeedDaemonReload 'wandb*' 'wbagent*' | grep --quiet yes && systemctl daemon-reload
systemctl reset-failed
systemctl start wbagent.service
"""


def set_back(bed: Bed) -> None:
    """Bring both hosts, the database and the buckets back to how the tests found them at the start."""
    bed.bucket_place.restore()
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda host: _set_host_back(host, bed.deb), bed.hosts))
    create_database(bed)
    for bucket in BUCKETS:
        _empty(bed, bucket)
    bed.receiver.behave("accept")
    bed.receiver.forget()


def _set_host_back(host: Host, deb: Path) -> None:
    if not host.runs:
        host.boot()
    host.restore()
    if installed_version(host) != version_of(deb):
        host.run(["dpkg", "--purge", "wbagent"])
        install(host, deb)
    host.run(["sh", "-c", _SET_BACK], timeout=180)


def _empty(bed: Bed, bucket: str) -> None:
    client = bed.store.client()
    for upload in client.list_multipart_uploads(Bucket=bucket).get("Uploads", []):
        client.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
    for key in bed.store.keys(bucket):
        client.delete_object(Bucket=bucket, Key=key)
