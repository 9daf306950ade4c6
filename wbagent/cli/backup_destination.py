"""`wbagent backup check-destination`: what this host's keys may do in the bucket, and the least that they need."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from wbagent.bucket.nearness import on_this_machine
from wbagent.bucket.policy import Kind, least_policy
from wbagent.bucket.powers import probe
from wbagent.bucket.verdict import Means, judge
from wbagent.config import Settings
from wbagent.config.dsn import S3URL
from wbagent.errors import ConfigError

_SIGNS = {"good": "ok", "bad": "MEND", "note": "note"}


def check(settings: Settings, *, as_json: bool) -> int:
    """Probe and print; returns the exit status: 0 when nothing is to be mended, else 1. Raises BucketError."""
    url, backup = _bucket(settings), settings.backup
    powers = probe(url, backup.owner, backup.request_checksum_calculation)
    lock = backup.lock_mode if backup.lock_days else ""
    means = Means(lock, encrypted=bool(backup.encrypt_to), tls=url.tls, same_machine=on_this_machine(url))
    verdict = judge(powers, means)
    if as_json:
        findings = [asdict(finding) for finding in verdict.findings]
        document = {"destroy": verdict.destroy, "read": verdict.read, "findings": findings, "powers": asdict(powers)}
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        click.echo(f"s3://{url.address}, as {backup.owner}")
        for finding in verdict.findings:
            click.echo(f"{_SIGNS[finding.level]:>4}  {finding.text}")
            if finding.remedy:
                click.echo(f"      try: {finding.remedy}")
    return 0 if verdict.good else 1


def print_policy(settings: Settings, kind: Kind) -> None:
    """Print the policy as JSON."""
    backup = settings.backup
    policy = least_policy(
        kind, _bucket(settings), backup.owner, read_back=backup.read_back, lock=backup.lock_days is not None
    )
    click.echo(json.dumps(policy, indent=2))


def _bucket(settings: Settings) -> S3URL:
    if settings.backup.destination is None:
        raise ConfigError(
            "backups stay on this host: whoever takes it over can read and destroy all of them",
            hint="name a bucket in [backup] destination",
        )
    return settings.backup.destination
