"""A reproducible sample database of a chosen size, like W&B's in kind, with everything that a restore tends to lose."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import pymysql

from tests.testbed.sample_schema import PROGRAMS, TABLES

_PROJECTS = 20
_RUNS_IN_A_MEGABYTE = 60
_BLOB = 48 * 1024
_BLOBS_IN_A_STATEMENT = 20
_STATES = ("running", "finished", "crashed", "failed")
_TAGS = ("", "baseline", "baseline,sweep", "archived")
_WORDS = (
    "résumé",
    "学習",
    "обучение",
    "🚀",
    "naïve",
    "it's",
    '"quoted"',
    "back\\slash",
    "tab\there",
    "two\nlines",
    "%s",
)

_RUNS = """INSERT INTO runs (project_id, name, display_name, state, tags, config, summary, notes, loss, score, cost,
    created_at, heartbeat_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"""
_FILES = "INSERT INTO files (run_id, path, digest, mark, flags, size) VALUES (%s, %s, %s, %s, %s, %s)"


def fill(connection: pymysql.Connection[Any], megabytes: float, *, seed: int = 1, rough_floats: bool = False) -> None:
    """Make the sample's tables, rows and programs in the connection's database, which must be empty.

    The same `megabytes` (10^6 bytes of rows) and `seed` give the same rows. The user needs all rights on the
    database and, where a binary log is kept, the right to define functions. `rough_floats` puts values into a FLOAT
    column that need more digits than the six of MySQL's text protocol: mysqldump cannot restore those exactly.
    """
    rng = random.Random(seed)
    runs = max(20, int(megabytes * _RUNS_IN_A_MEGABYTE))
    with connection.cursor() as cursor:
        for definition in TABLES + PROGRAMS:
            cursor.execute(definition)
        cursor.executemany(
            "INSERT INTO projects (entity, name, description) VALUES (%s, %s, %s)",
            [(f"team-{number % 3}", f"project {number} {_text(rng, 3)}", None) for number in range(_PROJECTS)],
        )
        cursor.executemany(_RUNS, [_run(rng, rough_floats=rough_floats) for _ in range(runs)])
        cursor.executemany(_FILES, [_file(rng, runs) for _ in range(runs * 5)])
        cursor.executemany(
            "INSERT INTO audit VALUES (%s, %s, %s)",
            [(_time(rng)[:23], rng.choice((None, "ada", "grace")), _text(rng, 8)) for _ in range(max(10, runs // 2))],
        )
        for statement in _history(rng, runs, max(5, int(megabytes * 0.8e6 / _BLOB))):
            cursor.execute(statement)


def change_one_row(connection: pymysql.Connection[Any]) -> None:
    """Change one bit of one blob, the smallest change that a comparison must find."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE history SET data = concat(char(ascii(data) ^ 1), substr(data, 2)) LIMIT 1")


def _text(rng: random.Random, words: int) -> str:
    return " ".join(rng.choice(_WORDS) for _ in range(words))


def _time(rng: random.Random) -> str:
    day, second = rng.randrange(1, 29), rng.randrange(86400)
    clock = f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
    return f"2025-{rng.randrange(1, 13):02}-{day:02} {clock}.{rng.randrange(10**6):06}"


def _run(rng: random.Random, *, rough_floats: bool) -> tuple[object, ...]:
    config = {
        "optimizer": {"name": "adam", "lr": rng.choice((0.1, 1e-3, 3e-4, 1e-300)), "betas": [0.9, 0.999]},
        "layers": [rng.randrange(4096) for _ in range(40)],
        _text(rng, 1): [None, True, _text(rng, 2)],
    }
    summary = {f"metric/{number}": rng.random() for number in range(30)}
    return (
        rng.randrange(_PROJECTS) + 1,
        f"{rng.randrange(16**8):08x}",
        f"{_text(rng, 2)} {rng.randrange(10**6)}",
        rng.choice(_STATES),
        rng.choice(_TAGS),
        json.dumps(config, ensure_ascii=False),
        rng.choice((None, json.dumps(summary))),
        _text(rng, 100),
        rng.random() if rough_floats else rng.randrange(1000) / 8,
        rng.random() * 10.0 ** rng.randrange(-200, 200),
        f"{rng.randrange(10**14)}.{rng.randrange(10**6):06}",
        _time(rng),
        rng.choice((None, _time(rng)[:19])),
    )


def _file(rng: random.Random, runs: int) -> tuple[object, ...]:
    mark = rng.choice((None, b"", b"\x00\x1a'\"\\\n\xff", rng.randbytes(32)))
    path = f"media/{_text(rng, 1)}/{rng.randrange(10**9)}.bin"
    return rng.randrange(runs) + 1, path, rng.randbytes(16), mark, rng.randrange(2**12), rng.randrange(2**63, 2**64)


def _history(rng: random.Random, runs: int, blobs: int) -> Iterator[str]:
    """Yield statements that insert history rows: about half of each blob compresses, as metrics do."""
    for first in range(0, blobs, _BLOBS_IN_A_STATEMENT):
        rows = []
        for number in range(first, min(blobs, first + _BLOBS_IN_A_STATEMENT)):
            steps = json.dumps(
                [{"_step": step, "loss": 1 / (step + 1)} for step in range(number, number + 32)]
            ).encode()
            data = rng.randbytes(_BLOB // 2) + (steps * (_BLOB // 2 // len(steps) + 1))[: _BLOB // 2]
            rows.append(f"({number % runs + 1},{number // runs},x'{data.hex()}')")
        yield f"INSERT INTO history VALUES {','.join(rows)}"
