"""What is told of the services beneath the server: urgency, one message for one cause, a text for each trouble."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sayable import check
from wbagent.alerts import certificate, database, server, states
from wbagent.alerts.condition import Condition
from wbagent.alerts.judging import judge
from wbagent.alerts.message import Message
from wbagent.alerts.network import NetworkWatch
from wbagent.alerts.outside import OUTSIDE, Serving, of_outside
from wbagent.alerts.store import StoreWatch, of_store, of_stores
from wbagent.alerts.words import LANGUAGES
from wbagent.config import Settings
from wbagent.config.dsn import S3URL
from wbagent.config.monitor import CertificateSettings
from wbagent.moment import Moment
from wbagent.monitor.outside import Certificate, Doubt, Outside, Stage, stage_of
from wbagent.monitor.reach import Reach
from wbagent.monitor.store_probe import Answer, Asked, Trouble
from wbagent.monitor.store_probe import judge as judge_answer
from wbagent.state import State

DAY = 86400.0
STORE = S3URL.parse("s3://KEY:SECRET@store.example.com/files")


def settings(language: str = "en") -> Settings:
    return Settings.model_validate(
        {
            "server": {"host": "https://wandb.example.com", "image": "wandb/local:0.83.0", "embedded": True},
            "alerts": {"to": ["json://one.example.com/"], "language": language},
        }
    )


def at(seconds: float) -> Moment:
    return Moment(1_000_000.0 + seconds, seconds, "boot")


@given(st.floats(-1e8, 1e8), st.floats(0, 1e8))
def test_a_certificate_gets_more_urgent_as_time_passes(left: float, passed: float) -> None:
    limits = CertificateSettings()
    assert certificate.step(limits, left) <= certificate.step(limits, left - passed)


def test_a_certificate_that_expires_is_one_alert_that_grows(state: State) -> None:
    """Looked at every 12 hours for 40 days, then renewed."""
    told: list[tuple[float, str, str]] = []
    for half in range(81):
        now = half * DAY / 2
        shown = Certificate(at(40 * DAY).wall if half < 80 else at(130 * DAY).wall)
        found = certificate.conditions(settings(), shown, at(now).wall, "outside")
        for message in judge(state, settings().alerts, {certificate.EXPIRY, certificate.REFUSED}, found, at(now)):
            told.append((40 - half / 2, message.severity, message.kind.value))
            assert message.fingerprint == "certificate-expiry"
    assert told == [
        (30.0, "warning", "firing"),
        (23.0, "warning", "firing"),
        (16.0, "warning", "firing"),
        (14.0, "warning", "firing"),
        (7.0, "warning", "firing"),
        (3.0, "critical", "firing"),
        (2.0, "critical", "firing"),
        (1.0, "critical", "firing"),
        (0.0, "info", "resolved"),
    ]


def test_an_expired_certificate_is_not_also_told_as_refused() -> None:
    shown = Certificate(None, Doubt.EXPIRED, "certificate has expired")
    refused, expiry = certificate.conditions(settings(), shown, at(0).wall, "outside")
    assert (refused.value, expiry.value) == (0.0, 4.0)
    refused, expiry = certificate.conditions(settings(), None, at(0).wall, "outside")
    assert (refused.value, expiry.value) == (None, None)
    check(refused)
    check(expiry)
    assert refused.because_of == expiry.because_of[:1] == ("outside",)


@pytest.mark.parametrize("every", [1.0, 5.0, 30.0])
def test_a_mysql_that_hangs_is_told_however_long_a_look_takes(state: State, every: float) -> None:
    """Each look waits for its time-outs, up to 20 s, so looks are further apart than `every`."""
    limits = {"every": every, "for_minutes": 0.2}
    wanted = Settings.model_validate({"alerts": {"to": ["json://one/"]}, "monitor": {"database": limits}})
    told = [
        judge(state, wanted.alerts, {database.AWAY}, [database.away(wanted, "db1", "timed out", "")], at(second))
        for second in (0.0, every + 20.0)
    ]
    assert [len(messages) for messages in told] == [0, 1]


@pytest.mark.parametrize("every", [5.0, 30.0])
def test_an_address_that_keeps_silent_is_told_however_long_a_look_takes(state: State, every: float) -> None:
    limits = {"every": every, "timeout": 20.0, "for_minutes": 0.2}
    wanted = Settings.model_validate({"monitor": {"outside": limits}})
    found = of_outside(wanted, Outside(Stage.SILENT, "no answer", 40.0), Serving.YES)
    told = [judge(state, settings().alerts, {OUTSIDE}, found, at(second)) for second in (0.0, every + 40.0)]
    assert [len(messages) for messages in told] == [0, 1]


def test_what_followed_from_a_cause_gets_time_to_end_when_that_is_over(state: State) -> None:
    def looks(second: float, *, away: bool, broken: bool) -> list[str]:
        facts = {"reason": "refused", "hint": "start it", "address": "db1"}
        cause = Condition("database-away", float(away), for_seconds=60.0, every=30.0, facts=facts)
        found = Outside(Stage.UNREADY if broken else None, "503", 0.1, 503)
        effects = of_outside(settings(), found, Serving.YES)
        kinds = {"database-away", "outside", "outside-slow"}
        return [
            message.fingerprint for message in judge(state, settings().alerts, kinds, [cause, *effects], at(second))
        ]

    told = [looks(30.0 * number, away=True, broken=True) for number in range(10)]
    assert [number for number, each in enumerate(told) if each] == [2]
    assert states.load(state, "outside").fires
    # MySQL is back; the server needs half a minute more, and nobody hears of that.
    assert looks(300, away=False, broken=True) == ["database-away"]
    assert looks(330, away=False, broken=False) == []
    assert states.stored(state) == ()
    # What does not recover is told, after its own time.
    told = [looks(1000 + 30.0 * number, away=number < 10, broken=True) for number in range(20)]
    assert [(number, each) for number, each in enumerate(told) if each] == [
        (2, ["database-away"]),
        (10, ["database-away"]),
        (14, ["outside"]),
    ]


@pytest.mark.parametrize(
    ("serving", "shown", "title"),
    [
        (Serving.YES, Certificate(9e9), "W&B can be used at https://wandb.example.com again"),
        (
            Serving.YES,
            Certificate(9e9, Doubt.CHAIN, "self-signed"),
            "W&B answers at https://wandb.example.com again, but its certificate is refused",
        ),
        (Serving.STOPPED, None, "W&B was stopped, and is no longer watched at https://wandb.example.com"),
    ],
)
def test_the_end_says_which_end_it_is(state: State, serving: Serving, shown: Certificate | None, title: str) -> None:
    broken = of_outside(settings(), Outside(Stage.REFUSED, "nothing listens", 0.1), Serving.YES)
    stage = Stage.REFUSED if serving is Serving.STOPPED else None
    over = of_outside(settings(), Outside(stage, "200 OK", 0.1, 200, shown), serving)
    looks = [(broken, 30.0 * number) for number in range(6)] + [(over, 180.0 + 30.0 * number) for number in range(3)]
    told = [each for found, second in looks for each in judge(state, settings().alerts, {OUTSIDE}, found, at(second))]
    assert [message.title for message in told] == ["W&B cannot be used at https://wandb.example.com", title]


@pytest.mark.parametrize(
    ("active", "title"), [("active", "W&B server is up again"), ("inactive", "W&B server was stopped")]
)
def test_a_failed_server_that_is_up_or_was_stopped(state: State, active: str, title: str) -> None:
    told = [
        message.title
        for number, each in enumerate(("failed", active))
        for message in judge(
            state, settings().alerts, server.KINDS, server.conditions(settings(), each, "why", ""), at(number)
        )
    ]
    assert told == ["W&B server is down and is not started again", title]


@pytest.mark.parametrize(
    ("backups", "options", "trouble", "told"),
    [
        ("store.example.com", "", Trouble.REFUSED, ["store:files"]),
        ("store.example.com:9000", "", Trouble.REFUSED, ["store:files", "store:backups"]),
        # As Amazon's: each bucket has a name of its own, and all are one store.
        ("store.example.com", "?forcePathStyle=false", Trouble.UNREACHABLE, ["store:files"]),
        # What is wrong with keys or a bucket is two troubles, each with its own remedy.
        ("store.example.com", "", Trouble.KEY, ["store:files", "store:backups"]),
    ],
)
def test_one_dead_endpoint_is_told_and_ended_once(
    state: State, backups: str, options: str, trouble: Trouble, told: list[str]
) -> None:
    urls = {
        "files": S3URL.parse(f"s3://KEY:SECRET@store.example.com/files{options}"),
        "backups": S3URL.parse(f"s3://KEY:SECRET@{backups}/backups{options}"),
    }
    found: list[Message] = []
    for minute in range(12):
        asked = Asked(trouble if minute < 6 else None, "said", 0.1)
        conditions = of_stores(settings(), {name: (url, asked) for name, url in urls.items()})
        found += judge(state, settings().alerts, {"store", "store-slow"}, conditions, at(60.0 * minute))
    assert [message.fingerprint for message in found] == [*told, *told]
    assert ("no backup can be made" in found[0].why) is (len(told) == 1)
    assert states.stored(state) == ()


def test_two_buckets_of_one_dead_store_are_no_dead_network() -> None:
    def bucket(name: str) -> str:
        return f"s3://KEY:SECRET@store.invalid/{name}?tls=true&forcePathStyle=false"

    both = Settings.model_validate({
        "server": {"host": "https://wandb.example.com", "image": "wandb/local:0.83.0", "bucket": bucket("wandb-files"),
                   "mysql": "mysql://wandb:pw@127.0.0.1/wandb_local"},
        "backup": {"destination": bucket("wandb-backups")},
    })  # fmt: skip
    reach = Reach()
    found = [each.value for each in StoreWatch(reach).look(both, at(0)).conditions if each.kind == "store"]
    assert found == [1.0, 1.0]
    for look in range(2):
        [network] = NetworkWatch(reach).look(both, at(look)).conditions
        assert network.value == 0.0
        assert list(reach.found(at(look))) == ["store.invalid"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_trouble_has_words_and_a_remedy(language: str) -> None:
    chosen = settings(language)
    for stage in Stage:
        outside, _ = of_outside(chosen, Outside(stage, "said", 0.1), Serving.YES)
        assert check(outside).facts["part"], stage
        assert outside.facts["mend"], stage
    for trouble in Trouble:
        for name in ("files", "backups"):
            store, slow = of_store(chosen, name, STORE, Asked(trouble, "said", 9.0))
            assert check(store).facts["trouble"], trouble
            check(slow)
            assert store.facts["mend"], trouble
            assert slow.value == 0.0
    for doubt in Doubt:
        refused, expiry = certificate.conditions(chosen, Certificate(0.0, doubt, "said"), 0.0, "outside")
        check(refused)
        check(expiry)
        assert bool(refused.facts["reason"]) is (doubt is not Doubt.EXPIRED)


def test_what_an_answer_of_a_store_means() -> None:
    def means(status: int, code: str = "") -> tuple[Trouble | None, Trouble | None]:
        answer = Answer("GET", status, code)
        return judge_answer(answer, may_be_refused=False), judge_answer(answer, may_be_refused=True)

    assert means(200) == means(204) == means(404, "NoSuchKey") == (None, None)
    assert means(403, "AccessDenied") == means(403) == (Trouble.DENIED, None)
    assert means(403, "InvalidAccessKeyId") == (Trouble.KEY, Trouble.KEY)
    assert means(403, "RequestTimeTooSkewed") == (Trouble.CLOCK, Trouble.CLOCK)
    assert means(404, "NoSuchBucket") == (Trouble.BUCKET, Trouble.BUCKET)
    assert means(301) == means(400, "AuthorizationHeaderMalformed") == (Trouble.REGION, Trouble.REGION)
    assert means(507) == (Trouble.FULL, Trouble.FULL)
    assert means(500, "InternalError") == means(503, "SlowDown") == (Trouble.FAILING, Trouble.FAILING)


def test_who_says_no() -> None:
    assert [stage_of(status) for status in (200, 204, 301, 404, 500, 502, 503, 504)] == [
        None,
        None,
        Stage.REDIRECT,
        Stage.UNREADY,
        Stage.UNREADY,
        Stage.PROXY,
        Stage.UNREADY,
        Stage.PROXY,
    ]
