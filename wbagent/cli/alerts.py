"""`wbagent alerts`: what fires, what waits to be delivered, a test of the destinations, the units' commands."""

from __future__ import annotations

import json
import random
import socket
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from wbagent.alerts import outbox, states
from wbagent.alerts.destination import Destination, configured
from wbagent.alerts.message import Kind, event
from wbagent.alerts.outbox import Waiting
from wbagent.alerts.settings import alert_settings
from wbagent.alerts.states import StoredAlert
from wbagent.cli.alerts_quiet import history, silence, silence_lines, unsilence
from wbagent.cli.context import config_path, load_settings
from wbagent.errors import AccessError, ConfigError, DeliveryError, StateError
from wbagent.moment import Moment
from wbagent.quantities import format_duration
from wbagent.state import State
from wbagent.systemd.unit_names import AGENT_UNIT, BACKUP_UNIT, DRILL_UNIT

if TYPE_CHECKING:
    from wbagent.alerts.delivery import Round
    from wbagent.config.model import AlertSettings

_JOURNAL_ONLY = "[alerts] to names no destination: alerts go to the journal only (journalctl -t wbagent)"


@click.group()
def alerts() -> None:
    """See what is firing and who is told; test the destinations."""


for _command in (history, silence, unsilence):
    alerts.add_command(_command)


@alerts.command("list")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    """Show alerts that are pending or firing, and messages that wait to be delivered."""
    with State(read_only=True) as state:
        now = Moment.now()
        found, waiting, quiet = states.stored(state), outbox.waiting(state), silence_lines(state, now)
    unknown = ""
    try:
        to: tuple[Destination, ...] | None = configured(load_settings(ctx).alerts)
    except (AccessError, ConfigError) as error:
        # Members of group systemd-journal may read the state and not the configuration.
        to, unknown = None, error.message
    if as_json:
        click.echo(json.dumps(_as_json(found, waiting, to), indent=2, ensure_ascii=False))
        return
    shown = [alert for alert in found if not states.awaits_first_figure(alert, now)]
    for alert in shown:
        click.echo(_alert_line(alert, now))
    if not shown:
        click.echo("no alert is firing or pending")
    for line in quiet:
        click.echo(line)
    for row in waiting:
        click.echo(_waiting_line(row, to, now.wall))
    if to is None:
        click.echo(f"note: the destinations are not known here: {unknown}")
    elif not to:
        click.echo(f"note: {_JOURNAL_ONLY}")
    else:
        click.echo(f"told: {', '.join(destination.label for destination in to)}")


@alerts.command()
@click.pass_context
def deliver(ctx: click.Context) -> None:
    """Deliver what is due in the outbox (wbagent-deliver.service runs this).

    Exit status 75 when a destination did not take something; that stays in the outbox and is tried again.
    """
    settings = alert_settings(config_path(ctx))
    with State() as state:
        done = _deliver(state, settings)
    for row in done.delivered:
        click.echo(f'delivered to {row.label}: "{row.message.title}"')
    _fail_unless_delivered(done)


@alerts.command()
@click.pass_context
def test(ctx: click.Context) -> None:
    """Send a test message to every destination and show each one's answer. Exit status 75 when one did not take it."""
    from wbagent.alerts.ping import Ping, label, ping  # noqa: PLC0415 - the other commands need none of these
    from wbagent.alerts.unit_report import send_past_outbox  # noqa: PLC0415 - loads apprise's processes

    settings = load_settings(ctx).alerts
    to = configured(settings)
    for url in (settings.ping_agent, settings.ping_backup):
        if url is not None:
            click.echo(f"ping to {label(url)}: {ping(url, Ping.LOG, 'a test') or 'taken'}")
    if not to:
        click.echo(f"nobody to tell: {_JOURNAL_ONLY}")
        return
    message = event("test", {}, time.time(), settings.language, severity="info", told_as=Kind.TEST)
    answers = sorted(send_past_outbox(message, to), key=lambda answer: to.index(answer.destination))
    for answer in answers:
        click.echo(f"{answer.destination.label}: {answer.error or 'taken'}")
    refused = [answer.destination.label for answer in answers if answer.error]
    if refused:
        raise DeliveryError(
            f"{len(refused)} of {len(to)} destinations did not take the test message: {', '.join(refused)}",
            hint="mend the address in [alerts] to (https://github.com/caronc/apprise/wiki describes each kind)",
        )


@alerts.command("unit-failed", hidden=True)
@click.argument("unit")
@click.pass_context
def unit_failed(ctx: click.Context, unit: str) -> None:
    """Tell that UNIT failed (wbagent-alert@.service runs this); what cannot be delivered now stays in the outbox."""
    from wbagent.alerts.unit_report import report  # noqa: PLC0415 - the other commands need no bus

    settings = alert_settings(config_path(ctx))
    now = Moment.now()
    _ping_failure(settings, unit)
    try:
        with State() as state:
            message = report(state, unit, settings, now)
            done = _deliver(state, settings)
    except StateError:
        _tell_past_outbox(unit, settings, now)
        raise
    click.echo(f'told: "{message.title}"' if message else f"{unit} failed: told already, or with the next summary")
    _fail_unless_delivered(done)


def _ping_failure(settings: AlertSettings, unit: str) -> None:
    """What waits for this unit's pings hears at once that none will come, with the unit's last lines."""
    from wbagent.alerts import unit_facts  # noqa: PLC0415 - the other commands need none of these
    from wbagent.alerts.ping import Ping, ping  # noqa: PLC0415 - as above

    url = settings.ping_agent if unit == AGENT_UNIT else settings.ping_backup
    if url is not None and unit in {AGENT_UNIT, BACKUP_UNIT, DRILL_UNIT}:
        problem = ping(url, Ping.FAIL, f"{unit} failed on {socket.gethostname()}\n{unit_facts.log_tail(unit)}")
        click.echo(f"ping: {problem or 'taken'}", err=bool(problem))


def _deliver(state: State, settings: AlertSettings) -> Round:
    from wbagent.alerts import unreachable  # noqa: PLC0415 - only deliverers need it
    from wbagent.alerts.delivery import Round, deliver_due  # noqa: PLC0415 - as above

    # Spreads the next attempts of many hosts; nothing secret hangs on it.
    jitter = random.Random().random  # noqa: S311
    to = configured(settings)
    first = deliver_due(state, to, time.time, jitter, settings.language)
    unreachable.judge(state, settings, Moment.now())
    # What that had to say is for the destinations that work: tried now, not at the next start.
    second = deliver_due(state, to, time.time, jitter, settings.language)
    return Round(first.delivered + second.delivered, first.failures + second.failures)


def _tell_past_outbox(unit: str, settings: AlertSettings, now: Moment) -> None:
    from wbagent.alerts.unit_report import report, send_past_outbox  # noqa: PLC0415 - only when the disk is full

    message = report(None, unit, settings, now)
    for answer in send_past_outbox(message, configured(settings)) if message else ():
        click.echo(f"{answer.destination.label}: {answer.error or 'taken'}", err=True)


def _fail_unless_delivered(done: Round) -> None:
    if not done.failures:
        return
    labels = dict.fromkeys(failure.row.label for failure in done.failures)
    raise DeliveryError(
        f"{len(done.failures)} messages were not delivered: {', '.join(labels)}; they stay in the outbox",
        hint="wbagent alerts list shows why; the agent tries again by itself",
    )


def _alert_line(alert: StoredAlert, now: Moment) -> str:
    blind = alert.state.no_data_since
    stands = alert.state.phase.value.upper() if alert.state.since else ""
    begun = alert.state.since
    words = [stands + (f" for {format_duration(now.since(begun) or 0.0)}" if begun else "")]
    if blind:
        words.append(f"NO DATA for {format_duration(now.since(blind) or 0.0)}")
    if alert.held_by:
        words.append(f"not told: {alert.held_by}")
    return f"{', '.join(word for word in words if word)} [{alert.severity.value}]: {alert.title} ({alert.fingerprint})"


def _waiting_line(row: Waiting, to: Sequence[Destination] | None, now: float) -> str:
    line = f'not delivered to {row.label}: "{row.message.title}", {format_duration(max(0.0, now - row.created_at))} old'
    if to is not None and row.destination not in {destination.id for destination in to}:
        return f"{line}; [alerts] to does not name that destination any more"
    if not row.attempts:
        return f"{line}, not tried yet"
    again = max(0.0, row.next_attempt_at - now)
    return f"{line}, {row.attempts} attempts, the next in {format_duration(again)}: {row.last_error}"


def _as_json(
    found: Sequence[StoredAlert], waiting: Sequence[Waiting], to: Sequence[Destination] | None
) -> dict[str, Any]:
    return {
        "alerts": [
            {
                "fingerprint": alert.fingerprint,
                "title": alert.title,
                "severity": alert.severity.value,
                "phase": alert.state.phase.value,
                "since": alert.state.since.wall if alert.state.since else None,
                "value": alert.state.value,
                "no_data_since": alert.state.no_data_since.wall if alert.state.no_data_since else None,
                "held_by": alert.held_by,
            }
            for alert in found
        ],
        "waiting": [
            {
                "destination": row.label,
                "message": row.message.to_json(),
                "created_at": row.created_at,
                "attempts": row.attempts,
                "next_attempt_at": row.next_attempt_at,
                "last_error": row.last_error,
            }
            for row in waiting
        ],
        "destinations": None if to is None else [destination.label for destination in to],
    }
