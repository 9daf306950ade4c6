"""Sets of global transaction identifiers as MySQL writes them, the tagged ones of MySQL 8.3 and later included."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Self

_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TAG: Final = re.compile(r"[a-z_][a-z0-9_]{0,31}")
_INTERVAL: Final = re.compile(r"(\d+)(?:-(\d+))?")


class Source(NamedTuple):
    """Where transactions come from: a server's UUID and a tag, or "" for none."""

    uuid: str
    tag: str = ""

    def __str__(self) -> str:
        return f"{self.uuid}:{self.tag}" if self.tag else self.uuid


class Gtid(NamedTuple):
    """One transaction."""

    source: Source
    number: int

    def __str__(self) -> str:
        return f"{self.source}:{self.number}"


# From the first number to the one behind the last.
Interval = tuple[int, int]


@dataclass(frozen=True, slots=True)
class GtidSet:
    """A set of transactions; the intervals of each source are sorted, apart from each other, and not empty."""

    intervals: Mapping[Source, tuple[Interval, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, parts: Iterable[tuple[Source, Interval]]) -> Self:
        """The set of these intervals, which may overlap and be in any order."""
        found: dict[Source, list[Interval]] = {}
        for source, interval in parts:
            found.setdefault(source, []).append(interval)
        return cls({source: _merged(found[source]) for source in sorted(found)})

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `@@gtid_executed` and the like show; raises ValueError."""
        return cls.of(_parts(text))

    def __str__(self) -> str:
        shown: dict[str, list[str]] = {}
        for source, intervals in self.intervals.items():
            numbers = (f"{start}" if end == start + 1 else f"{start}-{end - 1}" for start, end in intervals)
            shown.setdefault(source.uuid, []).append(":".join([*([source.tag] if source.tag else ()), *numbers]))
        return ",".join(f"{uuid}:{':'.join(parts)}" for uuid, parts in shown.items())

    def __bool__(self) -> bool:
        return bool(self.intervals)

    def __len__(self) -> int:
        return sum(end - start for intervals in self.intervals.values() for start, end in intervals)

    def __contains__(self, gtid: Gtid) -> bool:
        return any(start <= gtid.number < end for start, end in self.intervals.get(gtid.source, ()))

    def __or__(self, other: GtidSet) -> GtidSet:
        return GtidSet.of([*self.parts(), *other.parts()])

    def __sub__(self, other: GtidSet) -> GtidSet:
        left = {
            source: rest
            for source, intervals in self.intervals.items()
            if (rest := tuple(_without(intervals, other.intervals.get(source, ()))))
        }
        return GtidSet(left)

    def __and__(self, other: GtidSet) -> GtidSet:
        return self - (self - other)

    def __le__(self, other: GtidSet) -> bool:
        """Whether every transaction of this set is in the other one."""
        return not self - other

    def with_one(self, gtid: Gtid) -> GtidSet:
        """The set with one transaction more."""
        return self | GtidSet({gtid.source: ((gtid.number, gtid.number + 1),)})

    def parts(self) -> Iterator[tuple[Source, Interval]]:
        """Its intervals one by one: what `of` makes it from."""
        return ((source, interval) for source, intervals in self.intervals.items() for interval in intervals)


def parse_gtid(text: str) -> Gtid:
    """Read UUID:N or UUID:TAG:N; raises ValueError."""
    found = GtidSet.parse(text)
    if len(found) != 1:
        raise ValueError("expected one transaction, such as 3e11fa47-71ca-11e1-9e33-c80aa9429562:23")
    ((source, ((number, _),)),) = found.intervals.items()
    return Gtid(source, number)


def _parts(text: str) -> Iterator[tuple[Source, Interval]]:
    for item in re.sub(r"\s", "", text.lower()).split(","):
        if not item:
            continue
        uuid, *rest = item.split(":")
        if not _UUID.fullmatch(uuid) or not rest:
            raise ValueError(f"not a set of GTIDs at {item[:80]!r}")
        tag = ""
        for part in rest:
            if _TAG.fullmatch(part):
                tag = part
            elif found := _INTERVAL.fullmatch(part):
                start, last = int(found[1]), int(found[2] or found[1])
                if start < 1:
                    raise ValueError(f"transactions are numbered from 1, unlike {part[:40]!r}")
                # MySQL reads an interval that ends before it begins as an empty one.
                if last >= start:
                    yield Source(uuid, tag), (start, last + 1)
            else:
                raise ValueError(f"not an interval of transactions: {part[:40]!r}")


def _merged(intervals: Iterable[Interval]) -> tuple[Interval, ...]:
    result: list[Interval] = []
    for start, end in sorted(intervals):
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        else:
            result.append((start, end))
    return tuple(result)


def _without(intervals: Iterable[Interval], taken: tuple[Interval, ...]) -> Iterator[Interval]:
    for start, end in intervals:
        at = start
        for first, behind in taken:
            if behind <= at or first >= end:
                continue
            if first > at:
                yield at, first
            at = behind
        if at < end:
            yield at, end
