"""The repaint certificate: what replaying prefixes of the candles found, column by column."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

OFFENCES_KEPT = 5  # a column; the counts are complete, the details are a sample of the first


@dataclass(frozen=True, slots=True)
class Offence:
    """One reading of a closed bar that changed.

    `bar` is the row that changed (0 is the first candle) and `bar_time` its open, epoch ms;
    `prefix` is the number of bars the target had been given when it changed its mind.
    """

    column: str
    bar: int
    bar_time: int
    prefix: int
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Lag:
    """Bars from the row that carries an event to the first prefix that shows it."""

    median: float
    p90: float
    max: int


@dataclass(frozen=True, slots=True)
class ColumnFindings:
    """What one output column did over all prefixes.

    `rewritten` readings of already closed bars changed when one bar was added; `backfilled` of them
    were empty before: a fact written into the past, which no one could have read there in time.
    `shown` events appeared during the replay, `erased` of them are absent from the full run.
    """

    column: str
    rewritten: int
    backfilled: int
    shown: int
    erased: int
    lag: Lag | None
    offences: tuple[Offence, ...]

    @property
    def repaints(self) -> bool:
        """Whether anything shown was changed afterwards."""
        return self.rewritten > 0 or self.erased > 0


@dataclass(frozen=True, slots=True)
class Certificate:
    """The findings on one target over `prefixes` prefixes of `first_prefix` bars and more.

    Each prefix is `every` bars longer than the one before. Events are held against the run over all
    `bars`. `checks` says what was compared.
    """

    target: str
    coin: str
    timeframe: str
    bars: int
    first_prefix: int
    prefixes: int
    every: int
    checks: tuple[str, ...]
    columns: tuple[ColumnFindings, ...]

    @property
    def certified(self) -> bool:
        """Whether no column repaints."""
        return not any(column.repaints for column in self.columns)

    @property
    def rewritten(self) -> int:
        """Rewritten readings of all columns."""
        return sum(column.rewritten for column in self.columns)

    @property
    def erased(self) -> int:
        """Erased events of all columns."""
        return sum(column.erased for column in self.columns)

    @property
    def first_offences(self) -> list[Offence]:
        """The kept offences of all columns, the earliest prefix first."""
        kept = [offence for column in self.columns for offence in column.offences]
        return sorted(kept, key=lambda offence: (offence.prefix, offence.bar))


def lag_of(bars: Sequence[int]) -> Lag | None:
    """Summary of the lags of the events shown; None when there were none."""
    if not bars:
        return None
    array = np.asarray(bars)
    return Lag(float(np.median(array)), float(np.percentile(array, 90)), int(array.max()))
