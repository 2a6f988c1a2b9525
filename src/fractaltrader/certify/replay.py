"""Replay of a target that answers with one reading a bar: a function, a library, a strategy."""

from collections.abc import Callable
from dataclasses import dataclass

from fractaltrader.certify.certificate import (
    OFFENCES_KEPT,
    Certificate,
    ColumnFindings,
    Offence,
    lag_of,
)
from fractaltrader.certify.readings import Column, Readings, given, same, shown
from fractaltrader.errors import UserError
from fractaltrader.market import Candles

Tell = Callable[[int], None]


def silent(done: int) -> None:
    """Report no progress."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Which prefixes to replay: the first has `first` bars, each next one `every` bars more."""

    first: int = 1_000
    count: int = 2_000
    every: int = 1

    def sparse(self, count: int) -> "Plan":
        """`count` prefixes over about the same bars, for a target that is slow to run."""
        span = (self.count - 1) * self.every
        return Plan(self.first, count, max(1, span // (count - 1)))

    def lengths(self, candles: Candles) -> range:
        """Bars of each prefix; UserError when the candles do not hold the prefixes asked for."""
        if self.first < 1:
            raise UserError(f"from: {self.first} must be at least 1 bar")
        if self.count < 2:
            raise UserError(f"prefixes: {self.count} must be at least 2, to compare one with one")
        if self.every < 1:
            raise UserError(f"every: {self.every} must be at least 1 bar from prefix to prefix")
        lengths = range(self.first, self.first + self.count * self.every, self.every)
        if lengths[-1] > len(candles):
            raise UserError(
                f"prefixes: {self.count} prefixes from bar {self.first} need {lengths[-1]} "
                f"candles, {candles.coin} has {len(candles)}; give more candles, fewer prefixes "
                "or an earlier start"
            )
        return lengths


class _ColumnReplay:
    """One column over growing prefixes, each compared with the one before."""

    def __init__(self, name: str, candles: Candles) -> None:
        self._name = name
        self._candles = candles
        self._previous: Column | None = None
        self._first_seen: dict[tuple[int, object], int] = {}
        self._rewritten = 0
        self._backfilled = 0
        self._offences: list[Offence] = []

    def take(self, column: Column) -> None:
        """The readings of the next prefix, which is longer than the last."""
        bars = len(column)
        if self._previous is not None:
            closed = len(self._previous)
            changed = (~same(self._previous, column[:closed])).nonzero()[0].tolist()
            for bar in changed:
                self._rewrite(bar, bars, self._previous[bar], column[bar])
            for bar in (*changed, *range(closed, bars)):
                if given(column[bar : bar + 1])[0]:
                    self._first_seen.setdefault((bar, column[bar]), bars)
        self._previous = column

    def live(self, told: Column, full: Column) -> None:
        """What was told bar by bar, held against the same bars of the full run."""
        bars = len(told)
        for bar in (~same(told, full[:bars])).nonzero()[0].tolist():
            self._rewrite(bar, len(full), told[bar], full[bar])

    def _rewrite(self, bar: int, prefix: int, before: object, after: object) -> None:
        self._rewritten += 1
        self._backfilled += shown(before) == "-"
        if len(self._offences) < OFFENCES_KEPT:
            time = int(self._candles.open_time[bar])
            self._offences.append(
                Offence(self._name, bar, time, prefix, shown(before), shown(after))
            )

    def findings(self, full: Column) -> ColumnFindings:
        """The verdict, given the readings over all bars."""
        erased = sum(bool(full[bar] != value) for bar, value in self._first_seen)
        return ColumnFindings(
            column=self._name,
            rewritten=self._rewritten,
            backfilled=self._backfilled,
            shown=len(self._first_seen),
            erased=erased,
            lag=lag_of([prefix - 1 - bar for (bar, _), prefix in self._first_seen.items()]),
            offences=tuple(self._offences),
        )


def certify_readings(
    target: str,
    readings: Callable[[Candles], Readings],
    candles: Candles,
    plan: Plan,
    *,
    live: Callable[[Candles], Readings] | None = None,
    tell: Tell = silent,
) -> Certificate:
    """Run `readings` on every prefix of `plan` and hold each run against the one before.

    A lag is counted to the first prefix that shows the event. What the very first one shows is the
    background: only what later ones add counts as shown. `live`, where the target can be run bar
    by bar, is held against the full run as well. `tell` hears how many prefixes are done. Raises
    UserError for a plan the candles do not hold and for columns that come and go.
    """
    lengths = plan.lengths(candles)
    full = readings(candles)
    replays = {name: _ColumnReplay(name, candles) for name in full}
    for done, bars in enumerate(lengths, start=1):
        columns = readings(candles.slice(0, bars))
        if columns.keys() != full.keys():
            raise UserError(
                f"{target}: columns {', '.join(columns)} over {bars} bars but {', '.join(full)} "
                f"over {len(candles)}; return the same columns whatever the bars"
            )
        for name, column in columns.items():
            replays[name].take(column)
        tell(done)
    checks = [f"{plan.count:,} prefixes run anew, each compared with the one before"]
    if live is not None:
        last = lengths[-1]
        for name, column in live(candles.slice(0, last)).items():
            replays[name].live(column, full[name])
        checks.append(f"{last:,} bars streamed one by one and compared with the full run")
    return Certificate(
        target=target,
        coin=candles.coin,
        timeframe=str(candles.timeframe),
        bars=len(candles),
        first_prefix=plan.first,
        prefixes=plan.count,
        every=plan.every,
        checks=tuple(checks),
        columns=tuple(replay.findings(full[name]) for name, replay in replays.items()),
    )
