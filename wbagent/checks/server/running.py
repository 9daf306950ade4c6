"""What of the server runs: its unit, its container, what it answers, what it logged, how often it ended."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Final

from wbagent.checks.asking_docker import with_docker
from wbagent.checks.check import Finding, Run, Subject, Verdict, fail, note, passed, warn
from wbagent.checks.host.port import taken
from wbagent.checks.server.kept import MENDS, server_directory
from wbagent.config.server import ServerSettings
from wbagent.moment import Moment
from wbagent.quantities import format_duration
from wbagent.server import door, history, pause
from wbagent.server.container import Docker
from wbagent.server.diagnosis import diagnose
from wbagent.server.diff import Difference, differences
from wbagent.server.history import Record
from wbagent.server.outages import outages
from wbagent.server.probe import LIVENESS, READINESS, Answer, probe
from wbagent.server.specification import HASH_LABEL, NAME, specification
from wbagent.systemd.bus import Bus, Properties
from wbagent.systemd.unit_names import SERVER_UNIT

_WEEK_S: Final = 7 * 86400.0
# More often than every other day is no accident any more.
_OFTEN: Final = 3
_LOG_LINES: Final = 300


def unit(_settings: ServerSettings) -> Run:
    """wandb-local.service."""

    def look(subject: Subject) -> Finding:
        with Bus() as bus:
            properties = bus.properties(SERVER_UNIT)
        held = pause.current(Moment.now())
        found = judge_unit(properties, held[0].sentence(held[1]) if held else "")
        ended = found.verdict is Verdict.FAIL and properties.get("ActiveState") in {"activating", "failed"}
        return subject.left_to("host", found) if ended and taken(subject.settings) else found

    return look


def judge_unit(properties: Properties, paused: str) -> Finding:
    """Whether it serves, and will after a boot."""
    active, sub = str(properties.get("ActiveState", "inactive")), str(properties.get("SubState", ""))
    text = str(properties.get("StatusText", ""))
    if properties.get("LoadState") == "not-found":
        return fail(f"there is no {SERVER_UNIT}", needed="the package's unit", remedy="apt install --reinstall wbagent")
    if active in {"active", "reloading"}:
        return _serving(text, enabled=properties.get("UnitFileState") in {"enabled", "enabled-runtime"})
    if paused:
        return note(paused, needed="a serving server, when the work is done", remedy="wbagent server resume")
    if active == "activating" and sub != "auto-restart":
        return warn(f"it starts: {text or 'no word yet'}", needed="serving", remedy="journalctl -f -u wandb-local")
    if active == "inactive":
        return fail("it is stopped", needed="enabled and serving", remedy=f"systemctl enable --now {SERVER_UNIT}")
    after = "stays down" if active == "failed" else "is to be started again"
    remedy = "wbagent server history 1; systemctl status wandb-local"
    return fail(f"it ended ({properties.get('Result')}) and {after}", needed="enabled and serving", remedy=remedy)


def _serving(text: str, *, enabled: bool) -> Finding:
    if enabled:
        return passed(f"enabled and serving{f': {text}' if text else ''}")
    needed = "enabled: after a boot it stays down"
    return warn("it serves, but is not enabled", needed=needed, remedy=f"systemctl enable {SERVER_UNIT}")


def probes(settings: ServerSettings) -> Run:
    """Both probes, at the published port."""

    def look(subject: Subject) -> Iterator[Finding]:
        for path in (LIVENESS, READINESS):
            answer = probe([_published(settings)], path, settings.probes.timeout)
            foreign = not answer.ok and taken(subject.settings)
            yield subject.left_to("host", judge_probe(answer)) if foreign else judge_probe(answer)
            if foreign or not answer.status:
                # Whoever does not answer the one does not answer the other.
                return

    return look


def judge_probe(answer: Answer) -> Finding:
    """One probe's answer."""
    if answer.ok:
        return passed(f"{answer.status} in {format_duration(answer.seconds)}", about=answer.path)
    remedy = "systemctl status wandb-local; wbagent server history 1"
    if answer.path == READINESS and answer.status:
        remedy = "journalctl -u wandb-local -n 50: mostly the database or the bucket does not answer it"
    return fail(answer.sentence(), needed="status 200", remedy=remedy, about=answer.path)


def _published(settings: ServerSettings) -> tuple[str, int]:
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}
    return everywhere.get(settings.bind, settings.bind), settings.port


def container(settings: ServerSettings) -> Run:
    """What runs, against what is configured; the key of its hash is only read."""

    def look(docker: Docker) -> Finding:
        found = docker.inspect(NAME)
        if found is None:
            return note(f"there is no container {NAME} now", remedy=f"systemctl enable --now {SERVER_UNIT}")
        if HASH_LABEL not in (found["Config"].get("Labels") or {}):
            # Whose it is, and what takes it over, the area docker tells.
            return note(f"not compared: wbagent did not make the container {NAME}", remedy="wbagent check docker")
        try:
            key = (server_directory() / "digest.key").read_bytes()
        except OSError as error:
            return judge_unread(error)
        wanted = specification(settings, systemd_cgroups=docker.systemd_cgroups(), key=key)
        wanted = wanted.unpublished() if door.closed() else wanted
        image, of_image = docker.inspect_image(settings.image), docker.inspect_image(found["Image"]) or {}
        wanted_id = str(image["Id"]) if image else None
        changed = differences(found, of_image, wanted, wanted_id, docker.unlimited())
        return judge_container(changed, "" if image else settings.image)

    return with_docker(look)


def judge_unread(error: OSError) -> Finding:
    """Why there is no key to compare with: the caller's lack, or this host's, which the check "state" judges."""
    if isinstance(error, PermissionError):
        return note("not compared: only root and group wbagent can", remedy="run this as root")
    if isinstance(error, FileNotFoundError):
        return note(f"not compared: {error.filename} is missing; the agent makes it when it starts", remedy=MENDS)
    return fail(f"{error.filename} cannot be read: {error.strerror}", needed="a disk that reads", remedy="dmesg | tail")


def judge_container(found: Sequence[Difference], missing: str = "") -> Finding:
    """What a restart would change; another restart policy the area docker tells, which mends it without one.

    `missing`: the configured image where it is not on this host. Then a restart alone would be an outage.
    """
    found = [one for one in found if one.name != "restart policy"]
    if not found:
        return passed("it runs with the settings of the configuration")
    return warn(
        f"it runs with other settings: {'; '.join(one.sentence() for one in found)}",
        needed="the settings of the configuration",
        remedy=f"docker pull {missing} && systemctl restart {SERVER_UNIT}"
        if missing
        else f"systemctl restart {SERVER_UNIT}",
    )


def log(settings: ServerSettings) -> Run:
    """The container's last lines; of one that is gone those of its record."""

    def look(docker: Docker) -> Finding:
        lines = docker.last_log_lines(NAME, _LOG_LINES) if docker.find(NAME) else ()
        if not lines:
            return note("Docker has no lines of it", remedy="journalctl -u wandb-local -n 100")
        ready = probe([_published(settings)], READINESS, settings.probes.timeout).ok
        return judge_log(lines, ready=ready)

    return with_docker(look)


def judge_log(lines: Sequence[str], *, ready: bool) -> Finding:
    """The first known cause among them; one that the server has got over is worth a word only."""
    known = diagnose(lines)
    if known is None:
        return passed(f"no known failure in the last {len(lines)} lines")
    told = fail if not ready else warn
    suffix = ", though it is ready now" if ready else ""
    return told(f"{known.cause}{suffix}", needed="a start without errors", remedy=known.remedy)


def restarts(_: Subject) -> Finding:
    """The last week, by the server's history."""
    try:
        records = history.read()
    except PermissionError:
        return note("not looked at: this user may not read the server's history", remedy="run this as root")
    return judge_restarts(records, time.time())


def judge_restarts(records: Sequence[Record], now: float) -> Finding:
    """How often it ended unasked, and for how long users were without it."""
    if not records:
        return note("the server has not started on this host yet")
    ends = [record for record in records if record.is_end and record.at > now - _WEEK_S]
    if not ends:
        return passed("it has not ended unasked in the last week")
    away = sum(
        outage.seconds(now) or 0.0 for outage in outages(records) if not outage.asked and outage.began > now - _WEEK_S
    )
    times = "once" if len(ends) == 1 else f"{len(ends)} times"
    found = (
        f"it ended unasked {times} in the last week, users were without it for {format_duration(away)}; the last:"
        f" {ends[-1].sentence()}"
    )
    if len(ends) < _OFTEN:
        return note(found, remedy="wbagent server history")
    return warn(found, needed=f"less than {_OFTEN} a week", remedy="wbagent server history --verbose")
