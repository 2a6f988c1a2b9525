"""Timing of small and large pieces of work."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isnan
from statistics import median
from time import perf_counter


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: what was measured, the time of one unit of it, and what to note."""

    name: str
    seconds: float  # median over the runs, for one unit
    unit: str
    note: str


def seconds_each(
    contestants: Sequence[Callable[[], object]],
    *,
    runs: int = 7,
    repeat: int = 1,
    clock: Callable[[], float] = perf_counter,
) -> list[float]:
    """Median seconds of one call of each contestant, by `clock`.

    They take turns, so that a busy machine slows all of them alike.
    """
    for contestant in contestants:
        contestant()
    times: list[list[float]] = [[] for _ in contestants]
    for _ in range(runs):
        for contestant, kept in zip(contestants, times, strict=True):
            start = clock()
            for _ in range(repeat):
                contestant()
            kept.append((clock() - start) / repeat)
    return [median(kept) for kept in times]


def readable(seconds: float) -> str:
    """A time with three figures in the unit that suits it; a dash for what was not measured."""
    if isnan(seconds):
        return "-"
    for factor, unit in ((1.0, "s"), (1e3, "ms"), (1e6, "µs")):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"
