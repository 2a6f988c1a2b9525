"""What a validated week came to, as numbers, lines and JSON."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from logging import CRITICAL
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time

import structlog

from fractaltrader.simulator.protocol.limits import WEIGHT_A_MINUTE
from fractaltrader.simulator.virtual_time import run_virtual
from fractaltrader.validation.scenarios import Scenario
from fractaltrader.validation.side_by_side import in_order
from fractaltrader.validation.week import Week

# Memory, where there is such a folder: what a power loss does is not what is tested here.
FAST_FOLDER = Path("/dev/shm")  # nosec B108


@dataclass(frozen=True, slots=True)
class Result:
    """One scenario from one seed; times are the bot's own seconds."""

    scenario: str
    seed: int
    days: float
    violations: list[str]
    violation_count: int
    uptime: float
    lives: int
    deaths: int
    operator_resets: int
    bars_decided: int
    bars_missed: int
    entries: dict[str, int]
    fills: int
    duplicates: int
    naked_max_s: float
    naked_total_s: float
    caused_429: int
    injected_429: int
    most_weight: int
    most_failures: int
    address_used: int
    address_cap: int
    breaker_trips: dict[str, int]
    false_stops: int
    missed_stops: int
    recoveries: int
    lost_updates: int
    errors: int
    errors_recognised: int
    incidents: dict[str, int]
    faults: dict[str, int]
    cpu_s: float

    @property
    def replay(self) -> str:
        """The command that repeats this run."""
        return (
            f"fractal validate --days {self.days:g} --scenario {self.scenario} --seed {self.seed}"
        )

    def document(self) -> dict[str, object]:
        """For --json."""
        return asdict(self) | {"replay": self.replay}

    def lines(self) -> list[str]:
        """For people."""
        share = 1.0 if not self.errors else self.errors_recognised / self.errors
        bars = self.bars_decided + self.bars_missed
        verdict = "passed" if not self.violation_count else f"{self.violation_count} VIOLATIONS"
        return [
            f"{self.scenario}, seed {self.seed}, {self.days:g} days: {verdict} "
            f"({self.cpu_s:.1f} s of CPU)",
            f"  up {self.uptime:.2%}, lives {self.lives}, deaths {self.deaths}, "
            f"operator resets {self.operator_resets}",
            f"  bars decided {self.bars_decided} of {bars}, missed {self.bars_missed}; "
            f"signals {_counted(self.entries)}; fills {self.fills}",
            f"  duplicates {self.duplicates}; naked at most {self.naked_max_s:g} s, in all "
            f"{self.naked_total_s:g} s; 429s caused {self.caused_429}, injected "
            f"{self.injected_429}; within a minute at most {self.most_failures} failures and "
            f"weight {self.most_weight} of {WEIGHT_A_MINUTE}; address {self.address_used} of "
            f"{self.address_cap} actions",
            f"  breaker trips {_counted(self.breaker_trips)}; false stops {self.false_stops}, "
            f"missed stops {self.missed_stops}",
            f"  state: {self.recoveries} recoveries, {self.lost_updates} lost updates; errors "
            f"recognised {self.errors_recognised} of {self.errors} ({share:.1%})",
            f"  incidents {_counted(self.incidents)}",
            f"  faults {_counted(self.faults)}",
            *(f"  {violation}" for violation in self.violations),
            *([f"  replay: {self.replay}"] if self.violation_count else []),
        ]


def validate(scenario: Scenario, seed: int, days: float) -> Result:
    """Run one scenario to its end in a folder of its own, in virtual time."""
    parent = FAST_FOLDER if FAST_FOLDER.is_dir() else None
    with TemporaryDirectory(prefix="fractal-validate-", dir=parent) as place:
        folder = Path(place) / "run"
        folder.mkdir()
        week = Week(folder, seed=seed, scenario=scenario, length_days=days)
        began = process_time()
        with quiet():
            run_virtual(week.run())
        return _result(week, process_time() - began)


def campaign(
    scenarios: Sequence[Scenario], seeds: Sequence[int], days: float, jobs: int
) -> Iterator[Result]:
    """Every scenario from every seed, seed by seed, by at most `jobs` processes."""
    runs = [(scenario, seed, days) for seed in seeds for scenario in scenarios]
    return in_order(_validate, runs, jobs)


def _validate(run: tuple[Scenario, int, float]) -> Result:
    return validate(*run)


@contextmanager
def quiet() -> Iterator[None]:
    """Nobody reads the log of a bot in virtual time."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)


def _result(week: Week, cpu_s: float) -> Result:
    ledger = week.ledger()
    try:
        errors = [record for _, record in ledger.errors()]
        incidents = Counter(kind for _, kind, _ in ledger.incidents())
        verdicts = dict(ledger.verdicts())
    finally:
        ledger.close()
    used, cap = week.address_budget()
    bars = sum(
        1
        for candles in week.markets.values()
        for time_ms in candles.open_time
        if week.begin_ms <= time_ms < week.end_ms - candles.timeframe.ms
    )
    return Result(
        scenario=week.scenario.name,
        seed=week.seed,
        days=week.length_days,
        violations=[str(violation) for violation in week.violations],
        violation_count=sum(week.violated.values()),
        uptime=week.alive_ms / max(week.total_ms, 1),
        lives=week.lives,
        deaths=week.deaths,
        operator_resets=week.stops,
        bars_decided=week.bars_decided,
        bars_missed=max(bars - week.bars_decided, 0),
        entries=verdicts,
        fills=len(week.fills()),
        duplicates=week.watch.duplicates,
        naked_max_s=week.watch.naked_max_ms / 1000,
        naked_total_s=week.watch.naked_total_ms / 1000,
        caused_429=week.wire.own_429,
        injected_429=week.wire.injected_429,
        most_weight=week.wire.most_weight,
        most_failures=week.wire.most_failures,
        address_used=used,
        address_cap=cap,
        breaker_trips=week.truth.trips,
        false_stops=week.truth.false_stops,
        missed_stops=week.truth.missed_stops,
        recoveries=len(week.recoveries),
        lost_updates=week.lost_updates,
        errors=len(errors),
        errors_recognised=sum(record.recognised for record in errors),
        incidents=dict(incidents.most_common()),
        faults=week.struck,
        cpu_s=cpu_s,
    )


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "none"
