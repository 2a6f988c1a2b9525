"""The crash matrix: one trading cycle, killed at every await and every write, under every fault.

A cycle begins as the bar closes that brings a signal and ends when its entry is long settled. Each
cell is a run of its own: the process dies at that point, is started again, and every invariant of
the validated week is checked to the audit at the end.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from fractaltrader.errors import UserError
from fractaltrader.risk.breaker_parameters import BreakerParameters
from fractaltrader.simulator.virtual_time import run_virtual
from fractaltrader.validation.report import FAST_FOLDER, quiet
from fractaltrader.validation.scenarios import CALM, Scenario, Table
from fractaltrader.validation.side_by_side import in_order
from fractaltrader.validation.week import Week
from fractaltrader.validation.world import HISTORY_BARS

# Longer than the bound of a naked position.
CELL_LAST_LIFE_SECONDS = 110.0
W = TypeVar("W", bound=Week)

BAR_MS = 900_000
BARS_BEFORE = 1
MARKET_DAYS = 3
SCOUTED_DAYS = (0.2, 0.5, 1.0, 2.9)
CYCLE_MS = 60_000  # four seconds of the bot's time, two of its heartbeats
CELL_DAYS = ((BARS_BEFORE + 1) * BAR_MS + CYCLE_MS) / 86_400_000


def _during(**fault: object) -> tuple[Table, ...]:
    begins = f"{(BARS_BEFORE + 1) * BAR_MS}ms"
    return ({**fault, "begins": begins, "lasts": f"{CYCLE_MS}ms"},)


_BOTH = ["info", "exchange"]
FAULTS: dict[str, tuple[Table, ...]] = {
    "none": (),
    "lost request": _during(kind="lost_request", paths=["exchange"]),
    "lost answer": _during(kind="lost_answer", paths=["exchange"]),
    "every second answer lost": _during(kind="lost_answer", probability=0.5, paths=_BOTH),
    "timeout, executed": _during(kind="timeout", executed=True, paths=["exchange"]),
    "timeout": _during(kind="timeout", paths=["exchange"]),
    "502, executed": _during(kind="server_error", executed=True, paths=["exchange"]),
    "500": _during(kind="server_error", status=500, paths=["exchange"]),
    "garbled answer": _during(kind="garbled_answer", paths=["exchange"]),
    "429": _during(kind="rate_limit", paths=["exchange"]),
    "rejected order": _during(kind="rejected_order"),
    "thin book": _during(kind="thin_book", depth=0.001),
    "unknown order": _during(kind="unknown_order"),
    "dropped socket": _during(kind="dropped_socket"),
    "doubled frames": _during(kind="duplicate_message"),
    "late frames": _during(kind="reorder_message"),
    "torn write": (),
    "full disk": (),
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One kill: at the point with this number, counted from the cycle's beginning."""

    fault: str
    point: int
    died: bool
    violations: tuple[str, ...]


@dataclass
class Cycle(Week):
    """The week cut down to one cycle; the first life dies at the given point of it."""

    dies_after: int | None = None
    points: int = 0
    _armed: bool = field(default=False, init=False)

    async def _doom(self, task: "asyncio.Task[None]") -> None:
        """Kill the first life at the point asked for, counted from the close of the bar."""
        if self._armed:
            return
        self._armed = True
        await self.clock.sleep_until(self.begin_ms + (BARS_BEFORE + 1) * BAR_MS)
        life, begun = self.life, self.life.points
        life.tears = self.scenario.torn_writes
        if self.dies_after is not None:
            life.dies_at = begun + self.dies_after
        await asyncio.sleep((CYCLE_MS - 1_000) / 1000 / self.speed)
        self.points = life.points - begun

    @property
    def last_life_seconds(self) -> float:
        return CELL_LAST_LIFE_SECONDS


def crash_matrix(
    seed: int, *, faults: Sequence[str] = tuple(FAULTS), every: int = 1, jobs: int = 1
) -> Iterator[Cell]:
    """Every cell, fault by fault, or every so many'th point of each, by at most `jobs` processes;
    UserError when the market of this seed brings no entry."""
    bar = first_entry(seed)
    lengths = in_order(_points, [(seed, bar, name) for name in faults], jobs)
    kills = [
        (seed, bar, name, point)
        for name, points in zip(faults, lengths, strict=True)
        for point in range(1, points + 1, every)
    ]
    return in_order(_cell, kills, jobs)


def _points(cycle: tuple[int, int, str]) -> int:
    return one_cell(*cycle, None).points


def _cell(kill: tuple[int, int, str, int]) -> Cell:
    _, _, name, point = kill
    cycle = one_cell(*kill)
    told = tuple(str(violation) for violation in cycle.violations)
    return Cell(name, point, cycle.deaths > 0, told)


def matrix_row(cells: Sequence[Cell]) -> str:
    """The cells of one fault: a dot for a kill survived, X for a violation, - where it was too
    late to die."""
    marks = ("X" if cell.violations else "." if cell.died else "-" for cell in cells)
    return f"{cells[0].fault:<26}{''.join(marks)}"


def matrix_summary(cells: Sequence[Cell]) -> list[str]:
    """How many kills there were, and what they broke."""
    bad = [cell for cell in cells if cell.violations]
    kills = sum(cell.died for cell in cells)
    faults = len({cell.fault for cell in cells})
    lines = [f"{kills} kills under {faults} faults, {len(bad)} with violations"]
    for (fault, text), count in Counter((c.fault, c.violations[0]) for c in bad).items():
        points = [cell.point for cell in bad if cell.fault == fault][:10]
        lines.append(f"{count} x {fault}, at points {points}: {text}")
    return lines


def first_entry(seed: int) -> int:
    """How many bars after the usual beginning the first signal's bar opens that is entered; raises
    UserError when there is none."""
    for days in SCOUTED_DAYS:
        week = one_run(Week, seed, CALM, length_days=days, days=MARKET_DAYS)
        bars = [(time_ms - week.begin_ms) // BAR_MS for time_ms in week.entered_bars]
        later = [bar for bar in bars if bar >= BARS_BEFORE]
        if later:
            return later[0]
    raise UserError(f"seed: the market of seed {seed} brings no entry; take another")


def one_cell(
    seed: int, bar: int, fault: str, point: int | None, limits: BreakerParameters | None = None
) -> Cycle:
    """The cycle whose signal's bar is `bar`, killed at `point` of it, or not at all."""
    scenario = replace(CALM, name=fault, tables=FAULTS[fault], torn_writes=fault == "torn write")
    if fault == "full disk":
        begins = f"{(BARS_BEFORE + 1) * BAR_MS}ms"
        scenario = replace(scenario, disk_full=(begins, f"{CYCLE_MS}ms", "1d"))
    return one_run(
        Cycle,
        seed,
        scenario,
        length_days=CELL_DAYS,
        days=MARKET_DAYS,
        history_bars=HISTORY_BARS + bar - BARS_BEFORE,
        dies_after=point,
        limits=limits or BreakerParameters(),
    )


def one_run(kind: type[W], seed: int, scenario: Scenario, **more: object) -> W:
    """A run of `kind` to its end, `more` being its fields, in a folder of its own."""
    parent = FAST_FOLDER if FAST_FOLDER.is_dir() else None
    with TemporaryDirectory(prefix="fractal-matrix-", dir=parent) as place:
        folder = Path(place) / "run"
        folder.mkdir()
        week = kind(folder=folder, seed=seed, scenario=scenario, **more)  # type: ignore[arg-type]
        with quiet():
            run_virtual(week.run())
        ledger = week.ledger()
        week.entered_bars = [intent.bar_time for intent in ledger.intents()]
        ledger.close()
    return week
