"""What `wandb verify` prints is read right: as real clients printed it, and whatever else a terminal may do to it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wbagent.verify.output import WHOLE, Outcome, Step, label_in, read

# What clients of these versions printed into a pipe; the paths and ports are made the same.
RECORDED = Path(__file__).with_name("recorded")
GOOD, BAD = "\u2705", "\u274c"
LABELS = (
    "Checking if logged in",
    "Checking signed URL upload",
    "Checking ability to send large payloads through proxy",
    "Checking requests to base url",
    "Checking requests made over signed URLs",
    "Checking CORs configuration of the bucket",
    "Checking wandb package version is up to date",
    "Checking logged metrics, saving and downloading a file",
    "Checking artifact save and download workflows",
    "Checking sweep creation and agent execution",
)


def recorded(name: str) -> str:
    return (RECORDED / f"{name}.txt").read_text()


def outcomes(text: str) -> dict[str, Outcome]:
    return {step.label.removeprefix("Checking "): step.outcome for step in read(text).steps}


def coloured(text: str, code: int) -> str:
    return f"\x1b[{code}m\x1b[1m{text}\x1b[0m"


def padded(label: str) -> str:
    return label.ljust(72, ".")


@pytest.mark.parametrize("version", ["0.12", "0.16", "0.31"])
def test_every_step_of_a_real_client(version: str) -> None:
    account = read(recorded(f"{version}-all-steps"))
    labels = LABELS if version == "0.31" else LABELS[:-1]
    assert tuple(step.label for step in account.steps) == labels
    found = {step.label.removeprefix("Checking "): step.outcome for step in account.steps}
    assert {name for name, outcome in found.items() if outcome is Outcome.PASSED} >= {
        "if logged in",
        "signed URL upload",
        "ability to send large payloads through proxy",
        "wandb package version is up to date",
    }
    assert {name for name, outcome in found.items() if outcome is Outcome.WARNED} >= {
        "requests to base url",
        "requests made over signed URLs",
    }
    assert found["artifact save and download workflows"] is Outcome.FAILED
    assert account.other == ()
    assert all(step.other == () for step in account.steps)


def test_what_a_body_limit_and_a_bucket_without_cors_look_like() -> None:
    steps = {step.label: step for step in read(recorded("0.31-body-limit")).steps}
    large = steps["Checking ability to send large payloads through proxy"]
    assert large.outcome is Outcome.FAILED
    assert large.reasons == (
        'Failed to send a large payload. Check nginx.ingress.kubernetes.io/proxy-body-size is "0".',
    )
    cors = steps["Checking CORs configuration of the bucket"]
    assert cors.outcome is Outcome.WARNED
    assert cors.reasons[0].endswith("you must allow GET and PUT to Origin: http://127.0.0.1:8080")


@pytest.mark.parametrize(
    ("name", "label", "last"),
    [
        ("0.31-wrong-key", WHOLE, "Failed to authenticate with http://127.0.0.1:8080: user is not logged in"),
        ("0.31-self-signed", WHOLE, "certificate relies on legacy Common Name field, use SANs instead"),
        ("0.15-not-found", "Checking if logged in", "issues with your networking setup.(Error 404: Not Found)"),
        ("0.19-crash", "Checking signed URL upload", "wandb.errors.errors.CommError: unknown operation ProbeRunInput"),
    ],
)
def test_a_traceback_is_a_failure_where_it_came(name: str, label: str, last: str) -> None:
    step = read(recorded(name)).steps[-1]
    assert (step.label, step.outcome) == (label, Outcome.FAILED)
    assert step.reasons[-1].endswith(last)
    assert "File " not in " ".join(step.reasons)


def test_a_traceback_of_a_thread_fails_the_step_that_goes_on() -> None:
    text = (
        f"{padded(LABELS[1])}Exception in thread Thread-7:\nTraceback (most recent call last):\n"
        '  File "/x.py", line 1, in run\n    go()\nOSError: [Errno 28] No space left on device\n'
        f"wandb: ERROR Internal wandb error: file data was not synced\n{GOOD}\n{padded(LABELS[2])}{GOOD}\n"
    )
    first, second = read(text).steps
    assert first == Step(
        LABELS[1],
        Outcome.FAILED,
        ("OSError: [Errno 28] No space left on device",),
        ("Exception in thread Thread-7:", "wandb: ERROR Internal wandb error: file data was not synced"),
    )
    assert second.outcome is Outcome.PASSED


def test_the_last_of_chained_tracebacks_is_told() -> None:
    text = (
        'Traceback (most recent call last):\n  File "/x.py", line 1, in f\nKeyError: 1\n\n'
        "During handling of the above exception, another exception occurred:\n\n"
        'Traceback (most recent call last):\n  File "/y.py", line 2, in g\nCommError: it is refused\nfor a reason\n'
    )
    assert read(text).steps == (Step(WHOLE, Outcome.FAILED, ("CommError: it is refused for a reason",)),)


def test_refused_before_the_first_step() -> None:
    text = f"{BAD}\n{coloured('Cannot run wandb verify against the W&B public cloud', 31)}\n"
    assert read(text).steps == (Step(WHOLE, Outcome.FAILED, ("Cannot run wandb verify against the W&B public cloud",)),)


def test_a_step_that_did_not_end() -> None:
    assert read(padded(LABELS[9])).steps == (Step(LABELS[9], Outcome.CUT),)


def test_several_reasons_and_one_of_several_lines() -> None:
    red = coloured("\n".join(["first", "second"]), 31)
    text = f"{padded(LABELS[7])}{BAD}\n{coloured('one', 31)}\n{red}\nwandb: something else\n"
    account = read(text)
    assert account.steps == (Step(LABELS[7], Outcome.FAILED, ("one", "first", "second")),)
    assert account.other == ("wandb: something else",)


@pytest.mark.parametrize(
    ("label", "reason", "outcome"),
    [
        (LABELS[5], "Your object store does not have a valid CORs configuration", Outcome.WARNED),
        (LABELS[6], "wandb version is not supported by your local installation.", Outcome.WARNED),
        (LABELS[6], "wandb version out of date", Outcome.FAILED),
        (LABELS[2], "Failed to send a large payload", Outcome.FAILED),
    ],
)
def test_without_colours_the_words_tell_a_warning_from_a_failure(label: str, reason: str, outcome: Outcome) -> None:
    assert read(f"{padded(label)}{BAD}\n{reason}\n").steps == (Step(label, outcome, (reason,)),)


def test_a_step_that_a_later_release_adds_is_read_by_its_width() -> None:
    assert read(f"{padded('Weaving baskets')}{GOOD}\n").steps == (Step("Weaving baskets", Outcome.PASSED),)


def test_what_is_no_step_is_shown_as_it_is() -> None:
    text = "Downloading 12 files...\nwandb: WARNING something is odd\nDefault host selected: http://x\n"
    assert read(text).other == ("Downloading 12 files...", "wandb: WARNING something is odd")


def _steps_as_printed(steps: list[tuple[str, int, str]]) -> str:
    lines = []
    for label, kind, reason in steps:
        lines.append(padded(label) + (GOOD if kind == 0 else BAD))
        if kind:
            lines.append(coloured(reason, 33 if kind == 1 else 31))
    return "\n".join(lines) + "\n"


_REASON = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60).filter(
    lambda text: not text.startswith(("Checking", "wandb:")) and "..." not in text
)
_STEPS = st.lists(st.tuples(st.sampled_from(LABELS), st.integers(0, 2), _REASON), max_size=12)
_KINDS = (Outcome.PASSED, Outcome.WARNED, Outcome.FAILED)


@given(_STEPS)
def test_all_that_is_printed_is_read_back(steps: list[tuple[str, int, str]]) -> None:
    wanted = [Step(label, _KINDS[kind], (reason,) if kind else ()) for label, kind, reason in steps]
    account = read(_steps_as_printed(steps))
    assert list(account.steps) == wanted
    assert account.other == ()


@given(_STEPS, st.integers(20, 100))
def test_a_terminal_that_wraps_changes_no_outcome(steps: list[tuple[str, int, str]], width: int) -> None:
    lines = [
        line
        for whole in _steps_as_printed([(label, kind, "reason") for label, kind, _ in steps]).splitlines()
        # Colours take no room.
        for line in ([whole] if "\x1b" in whole else re.findall(f".{{1,{width}}}", whole))
    ]
    wanted = [(label, _KINDS[kind]) for label, kind, _ in steps]
    assert [(step.label, step.outcome) for step in read("\n".join(lines)).steps] == wanted


@given(_STEPS)
def test_progress_lines_and_carriage_returns_change_no_outcome(steps: list[tuple[str, int, str]]) -> None:
    progress = "\rwandb: - 0.001 MB of 0.2 MB uploaded\rwandb: \\ 0.2 MB of 0.2 MB uploaded\r"
    text = re.sub(f"(?=[{GOOD}{BAD}])", lambda _: progress, _steps_as_printed(steps)).replace("\n", "\r\n")
    wanted = [(label, _KINDS[kind]) for label, kind, _ in steps]
    assert [(step.label, step.outcome) for step in read(text).steps] == wanted


_PIECES = (
    *"abC.: \r\n\x07",
    "\x1b[31m",
    "\x1b[0m",
    GOOD,
    BAD,
    "Checking ",
    "...",
    "Traceback (most recent call last):",
)


@given(st.lists(st.sampled_from(_PIECES)))
def test_whatever_is_printed_is_read(pieces: list[str]) -> None:
    account = read("".join(pieces))
    assert all(step.label for step in account.steps)


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    read(text)
    label_in(text)


def test_a_label_is_known_before_its_line_ends() -> None:
    assert label_in(padded(LABELS[3])) == LABELS[3]
    assert label_in("Checking requests to ba") is None
    assert label_in("wandb: Waiting for the process to finish...") is None
