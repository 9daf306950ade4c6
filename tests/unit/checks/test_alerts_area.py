"""Each judgement of the area "alerts": where it fails, for the right reason, and where it passes."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import SecretStr

from wbagent.alerts.destination import Destination
from wbagent.alerts.message import Kind, Message, event
from wbagent.alerts.outbox import Waiting
from wbagent.alerts.silences import Silence
from wbagent.checks.alerts.agent import judge_agent, judge_units, metrics
from wbagent.checks.alerts.destinations import Endpoint, judge_any, judge_ping, judge_reach, reach, understood
from wbagent.checks.alerts.waiting import Known, judge_firing, judge_outbox, judge_refused, judge_silences
from wbagent.checks.check import Finding, Subject
from wbagent.checks.scratch import Scratch
from wbagent.config import Settings
from wbagent.config.model import MetricsSettings
from wbagent.moment import Moment

# Apprise imports it on Python 3.11 and 3.12.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
SUBJECT = Subject(Settings(), Scratch())


@pytest.fixture
def port() -> Any:
    """One at which somebody listens, and takes nothing but the connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@pytest.fixture
def closed() -> int:
    """One at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("json://127.0.0.1:9/?token=x", Endpoint("127.0.0.1", 9)),
        ("jsons://hooks.example.com/path", Endpoint("hooks.example.com", 443)),
        ("json://hooks/path", Endpoint("hooks", 80)),
        ("mailto://u:p@mail.example.com?to=ops@example.com", Endpoint("mail.example.com", 25)),
        ("gotify://push:8000/token123", Endpoint("push", 8000)),
        ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/", Endpoint("hooks.slack.com", 443)),
        ("discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js", Endpoint("discord.com", 443)),
        ("tgram://123456789:abcdefg_hijklmnop/12315544/", Endpoint("api.telegram.org", 443)),
        ("syslog://", None),
    ],
)
def test_where_apprise_sends_to(url: str, endpoint: Endpoint | None) -> None:
    assert understood(url) == (True, endpoint)


def finding(url: str) -> Finding:
    return reach(Destination.of(url))(SUBJECT)


def test_a_destination(port: int, closed: int) -> None:
    assert finding(f"json://127.0.0.1:{port}/Xq7Lp2Vw").verdict == "pass"
    refused = finding(f"json://127.0.0.1:{closed}/Xq7Lp2Vw")
    assert refused.verdict == "fail"
    assert "Connection refused" in refused.found
    unknown = finding("slak://Xq7Lp2Vw/b")
    assert unknown.verdict == "fail"
    assert "does not know the form" in unknown.found
    assert "Xq7Lp2Vw" not in f"{refused}{unknown}"
    assert finding("syslog://").verdict == "note"


def test_any_destination() -> None:
    one, other = Destination.of("json://a.example.com"), Destination.of("slack://A/B/C")
    assert judge_any([]).verdict == "warn"
    assert judge_any([one]).verdict == "note"
    assert judge_any([one, other]).verdict == "pass"


def test_dead_mans_switch(port: int, closed: int) -> None:
    assert judge_ping("ping_agent", None).verdict == "note"
    assert judge_ping("ping_agent", SecretStr(f"http://127.0.0.1:{port}/Xq7Lp2Vw")).verdict == "pass"
    gone = judge_ping("ping_backup", SecretStr(f"http://127.0.0.1:{closed}/Xq7Lp2Vw"))
    assert gone.verdict == "fail"
    assert "Xq7Lp2Vw" not in f"{gone}"


@pytest.mark.parametrize(
    ("properties", "verdict"),
    [
        ({"ActiveState": "active", "UnitFileState": "enabled"}, "pass"),
        ({"ActiveState": "active", "UnitFileState": "disabled"}, "warn"),
        ({"ActiveState": "failed", "UnitFileState": "enabled"}, "fail"),
    ],
)
def test_agent(properties: Mapping[str, Any], verdict: str) -> None:
    assert judge_agent(properties).verdict == verdict


def test_units() -> None:
    told = {"wbagent.service": ("wbagent-alert@wbagent.service.service",)}
    assert [each.verdict for each in judge_units(told, ())] == ["pass"]
    (mute,) = judge_units({"wbagent.service": ()}, ())
    assert (mute.verdict, "wbagent.service" in mute.found) == ("warn", True)
    (failed,) = judge_units(told, ("wbagent-deliver.service",))
    assert (failed.verdict, failed.about) == ("fail", "wbagent-deliver.service")


def test_a_machine_that_takes_no_connection() -> None:
    where = Endpoint("hooks.example.com", 443)
    assert judge_reach("jsons://hooks.example.com", where, "").verdict == "pass"
    away = judge_reach("jsons://hooks.example.com", where, "Connection refused")
    assert (away.verdict, "hooks.example.com:443: Connection refused" in away.found) == ("fail", True)


def test_prometheus(port: int, closed: int) -> None:
    def asked(**settings: Any) -> str:
        return metrics(MetricsSettings.model_validate(settings))(SUBJECT).verdict

    assert asked() == "pass"
    assert asked(textfile="/var/lib/node/wbagent.prom") == "pass"
    assert asked(listen=f"127.0.0.1:{port}") == "pass"
    assert asked(listen=f"127.0.0.1:{closed}") == "fail"


def known(**parts: Any) -> Known:
    plain: dict[str, Any] = {"refused": "", "firing": (), "waiting": (), "silences": (), "now": 10_000.0}
    return Known(**plain | parts)


def message() -> Message:
    return event("test", {}, 0.0, "en", severity="info", told_as=Kind.TEST)


def row(created_at: float, error: str = "") -> Waiting:
    return Waiting(1, "id", "slack://…", message(), created_at, 1, 0.0, error)


def test_what_the_state_tells() -> None:
    assert judge_refused(known()).verdict == "pass"
    assert judge_refused(known(refused="no such key")).verdict == "fail"
    assert [each.verdict for each in judge_firing(known())] == ["pass"]
    assert [each.found for each in judge_firing(known(firing=("disk full",)))] == ["disk full"]
    assert [each.verdict for each in judge_outbox(known(), ())] == ["pass"]
    (new,) = judge_outbox(known(waiting=(row(9_990.0),)), {row(0.0).destination})
    assert new.verdict == "warn"
    (stuck,) = judge_outbox(known(waiting=(row(9_990.0), row(5_000.0, "refused by the door"))), {row(0.0).destination})
    assert stuck.verdict == "fail"
    assert "2 waiting" in stuck.found
    assert "refused by the door" in stuck.found
    # Its remedy, another address, makes it nobody's trouble.
    (gone,) = judge_outbox(known(waiting=(row(5_000.0),)), {"another"})
    assert gone.verdict == "note"
    assert [each.verdict for each in judge_silences(known())] == ["pass"]
    silence = Silence(3, "disk-*", Moment(0, 0, "b"), 60.0, "root", "moving")
    (silenced,) = judge_silences(known(silences=((silence, 30.0),)))
    assert (silenced.verdict, silenced.remedy) == ("note", "wbagent alerts unsilence 3")
