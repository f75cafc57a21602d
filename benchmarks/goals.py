"""What was aimed at, beside what was reached."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.contenders import BY_HAND, DLT, OURS

TITLES = {"parquet": "Parquet", "postgres": "PostgreSQL", "s3": "S3", "xcom": "XCom"}


@dataclass(frozen=True)
class Goal:
    """One aim.

    :param reached: None where it was not measured.
    :param least: that much or more; None where there is no least.
    :param most: that much or less; likewise.
    """

    what: str
    unit: str
    reached: float | None
    least: float | None = None
    most: float | None = None

    @property
    def is_met(self) -> bool:
        """False where it was not measured."""
        if self.reached is None:
            return False
        return (self.least is None or self.reached >= self.least) and (
            self.most is None or self.reached <= self.most
        )


def title(output: str) -> str:
    """How an output is called in texts."""
    return TITLES.get(output, output)


class Rates:
    """Events a second, and more, by output and way; a way is found by how its name begins."""

    def __init__(self, results: dict[str, Any]) -> None:
        self._ways = results["ways"]

    def row(self, output: str, way: str) -> dict[str, Any] | None:
        """None where it was not measured, or is void."""
        for row in self._ways:
            if row["output"] == output and row["way"].startswith(way) and "void" not in row:
                return dict(row)
        return None

    def rate(self, output: str, way: str) -> float | None:
        row = self.row(output, way)
        return row["events"] / row["seconds"] if row else None

    def times(self, output: str, way: str, other: str) -> float | None:
        """How many times as fast as ``other`` ``way`` is."""
        one, two = self.rate(output, way), self.rate(output, other)
        return one / two if one and two else None


_BY_HAND = {"jsonl": 14, "jsonl.zst": 12, "jsonl.gz": 14, "parquet": 8, "postgres": 3}
_FLOORS = (
    ("jsonl.zst", "curl", "curl, zstd -1", 1.2),
    ("parquet", "DuckDB", "DuckDB from a local file", 1.5),
)
_DLT = {"jsonl": 25, "parquet": 10, "postgres": 5}


def goals(results: dict[str, Any]) -> Iterator[Goal]:
    """All of them."""
    rates = Rates(results)
    for output, least in _BY_HAND.items():
        yield Goal(
            f"{title(output)}: times as fast as by hand", "times", rates.times(output, OURS, BY_HAND), least
        )
    for output, least in _DLT.items():
        yield Goal(f"{title(output)}: times as fast as dlt", "times", rates.times(output, OURS, DLT), least)
    for output, floor, name, most in _FLOORS:
        times = rates.times(output, f"floor: {floor}", OURS)
        yield Goal(f"{title(output)}: in times of {name}", "times", times, most=most)
    yield from _postgres_goals(rates)
    yield from _growth_goals(results)
    ms = results.get("importing", {}).get("ms")
    yield Goal("a DAG file with the operator, beyond BaseOperator", "ms", ms, most=30)


def _postgres_goals(rates: Rates) -> Iterator[Goal]:
    ours, copy = rates.row("postgres", OURS), rates.row("postgres", "floor: COPY")
    load = ours["load"] / copy["seconds"] if ours and copy else None
    yield Goal("PostgreSQL: the load in times of a bare COPY", "times", load, most=1.25)
    yield Goal(
        "PostgreSQL: the whole in times of a bare COPY",
        "times",
        rates.times("postgres", "floor: COPY", OURS),
        most=2,
    )


def _growth_goals(results: dict[str, Any]) -> Iterator[Goal]:
    memory = {"jsonl.zst": 120, "parquet": 250}
    for trend in results.get("growth", {}).get("trends", ()):
        output = trend["output"]
        exponent, flat = trend.get("exponent"), trend.get("memory")
        percent = None if flat is None else flat * 100
        yield Goal(f"{title(output)}: exponent of time, from 100,000 events", "", exponent, 0.97, 1.03)
        yield Goal(f"{title(output)}: peak memory, from 100,000 events, changes by", "%", percent, most=10)
        yield Goal(
            f"{title(output)}: peak memory above imports", "MB", trend.get("above"), most=memory[output]
        )
