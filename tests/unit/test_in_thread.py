"""What a call in a thread of its own gives or raises, who waits for it, and who does not."""

from __future__ import annotations

import subprocess
import sys

import pytest

from wbagent.in_thread import in_thread

_HANGS = "import threading; from wbagent.in_thread import in_thread; in_thread(threading.Event().wait); print('ended')"


def test_its_result_and_what_it_raises() -> None:
    assert in_thread(int, "ff", base=16).result(10) == 255
    with pytest.raises(ValueError, match="invalid literal"):
        in_thread(int, "none").result(10)


def test_who_waits_no_longer_cancels_nothing() -> None:
    found = in_thread(int, "1")
    assert not found.cancel()
    assert found.result(10) == 1


def test_what_hangs_keeps_no_process_from_ending() -> None:
    ended = subprocess.run([sys.executable, "-c", _HANGS], timeout=30, check=True, capture_output=True, text=True)
    assert ended.stdout == "ended\n"
