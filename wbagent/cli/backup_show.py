"""How backups are shown to a person: a line for each, or all that one's commit record and proof say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click

from wbagent.backup.catalog import Stored
from wbagent.backup.manifest import Manifest, Position
from wbagent.backup.proof import Proof
from wbagent.bucket.store import Store
from wbagent.quantities import format_duration, format_size


def print_list(
    store: Store, owner: str, shown: Sequence[Stored], proofs: Mapping[str, Proof | None], hidden: int
) -> None:
    """A line for each of `shown`; `hidden` more are no backups."""
    where = "" if store.off_site else "  NOT OFF-SITE: lost together with this host; set [backup] destination"
    click.echo(f"backups of {owner} in {store.address}{where}")
    for each in shown:
        line = f"{each.id}  {format_size(each.stored_bytes):>7}"
        if each.manifest and each.state == "complete":
            plain, took = format_size(each.manifest.plain_size), format_duration(each.manifest.duration_s)
            line += f"  {_standing(proofs.get(each.id))}  {len(each.manifest.tables)} tables, {plain} before"
            line += f" compression, in {took}"
            line += f"; warnings: {len(each.manifest.warnings)}" if each.manifest.warnings else ""
        else:
            line += f"  {each.state.upper()}: {each.reason}"
        click.echo(line)
    if not shown:
        click.echo("none; make one: wbagent backup run; those of another host: wbagent backup list --owner HOST")
    if hidden:
        click.echo(f"{hidden} more that are incomplete or damaged: wbagent backup list --all")


def _standing(proof: Proof | None) -> str:
    """How far a backup can be trusted, in words of equal length but for the bad one's reason."""
    if proof is None:
        return "not proven"
    if proof.ok and proof.image:
        return f"proven     in {proof.image}, "
    return "proven    " if proof.ok else f"BAD: {proof.reason};"


def print_record(store: Store, manifest: Manifest, proof: Proof | None) -> None:
    """All of one."""
    stored = manifest.data
    objects = f" in {len(stored.pieces)} objects" if stored.pieces else ""
    lines = {
        "backup": f"{manifest.id} of {manifest.owner}, made on {manifest.host}",
        "stored in": store.address + ("" if store.off_site else " (on this host: not off-site)"),
        "finished": f"{manifest.finished_at:%Y-%m-%d %H:%M:%S %Z}, after {format_duration(manifest.duration_s)}",
        "database": f"{manifest.database.address}, {manifest.database.charset}, {manifest.database.collation}",
        "server": f"MySQL {manifest.server.version} {manifest.server.comment} on {manifest.server.host}",
        "size": f"{format_size(stored.size)} stored{objects}, {format_size(stored.plain_size)} before compression",
        "sha256": stored.sha256,
        "holds": f"{len(manifest.tables)} tables, {len(manifest.views)} views, {len(manifest.routines)} routines,"
        f" {len(manifest.triggers)} triggers, {len(manifest.events)} events",
        "rows": rows_line(manifest, proof),
        "position": position_line(manifest.position, proof),
        "engine": f"{manifest.engine} ({manifest.engine_reason})",
        "made by": ", ".join(f"{name}: {text}" for name, text in manifest.tools.items()),
    }
    if manifest.encryption:
        lines["encrypted"] = f"by age, to {', '.join(manifest.encryption.recipients)}"
    if manifest.files:
        archive = manifest.object(manifest.files.file)
        lines["files"] = (
            f"{manifest.files.members} of the embedded server, {format_size(archive.size)} stored,"
            f" sha256 {archive.sha256}; NOT the objects of its bucket"
        )
    lines["proof"] = _proof_line(proof)
    if proof and proof.compared:
        lines["compared"] = ", ".join(proof.compared)
    for name, text in lines.items():
        click.echo(f"{name:<10} {text}")
    for warning in manifest.warnings:
        click.echo(f"{'warning':<10} {warning}")
    for note in proof.notes if proof else ():
        click.echo(f"{'note':<10} {note}")


def rows_line(manifest: Manifest, proof: Proof | None) -> str:
    """What is known of the rows: counted at the backup's moment, guessed by MySQL, counted by the drill."""
    counted = [table.rows for table in manifest.tables if table.rows is not None]
    guessed = sum(table.rows_estimate for table in manifest.tables if table.rows is None)
    parts = []
    if counted:
        parts.append(f"{sum(counted)} in {len(counted)} of {len(manifest.tables)} tables, counted at that moment")
    if len(counted) < len(manifest.tables):
        parts.append(f"about {guessed}{' in the others' if counted else ''}, as MySQL guessed before")
    if proof and proof.ok:
        parts.append(f"{sum(table.rows for table in proof.tables)} counted by the drill")
    return "; ".join(parts)


def position_line(position: Position | None, proof: Proof | None) -> str:
    """Where the binary log stood; of a clone under writers the drill alone knows what exactly is in it."""
    if position is None:
        return "not noted"
    text = f"{position.file}:{position.offset} {position.gtid_set or ''}".rstrip()
    if position.exact:
        return text
    seen = f"; exactly {proof.gtid_executed}, as the drill saw" if proof and proof.ok and proof.gtid_executed else ""
    return f"at least {text}{seen}"


def _proof_line(proof: Proof | None) -> str:
    if proof is None:
        return "none yet: wbagent backup drill"
    when = f"{proof.finished_at:%Y-%m-%d %H:%M:%S %Z} on {proof.host}"
    if not proof.ok:
        return f"BAD, found {when}: {proof.reason}"
    rows = sum(table.rows for table in proof.tables)
    took = format_duration(proof.duration_s)
    image = f" of image {proof.image}" if proof.image else ""
    return f"restored into {proof.server}{image} in {took}, {when}: {len(proof.tables)} tables with {rows} rows"
