"""The contract of a strategy: what the bot, the backtest, the chart and the certificate rely on.

A signal depends on bars alone, never on positions or money. Batch signals are numbers in records:
the fields below, the points of the factors, then whatever the strategy's facts need.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from fractaltrader.market import Bar, Candles, Timeframe
from fractaltrader.parameters import Parameters
from fractaltrader.smc.events import FloatArray, IntArray
from fractaltrader.strategies.signal import Signal

__all__ = ["Signal", "SignalColumns", "Strategy", "StrategySession"]

SIDE, ENTRY, STOP, TARGET, CONFIDENCE, ATR, BASELINE, FACTORS = range(8)


@dataclass(frozen=True, slots=True)
class SignalColumns:
    """Signals of a batch run: the bar each became known at [n], and its record [n, width].

    `said` holds the signals themselves where a record cannot carry their reasons.
    """

    bars: IntArray
    records: FloatArray
    said: tuple[Signal, ...] = ()

    def __len__(self) -> int:
        return len(self.bars)


class StrategySession(ABC):
    """One strategy on one coin, bar by bar and interpreted: what the bot runs."""

    def __init__(self, coin: str) -> None:
        self.coin = coin
        self._last = np.full(1, -1, np.int64)

    @property
    def last_bar_time(self) -> int | None:
        """Open time of the newest bar taken in, epoch ms; None before the first."""
        return int(self._last[0]) if self._last[0] >= 0 else None

    def on_bar(self, bar: Bar) -> Signal | None:
        """Take in the next closed bar; the signal that its close makes known, if any.

        Raises ValueError for a bar that is not later than the last one.
        """
        if bar.open_time <= self._last[0]:
            raise ValueError(
                f"{self.coin}: bar {bar.open_time} does not follow bar {self._last[0]}"
            )
        self._last[0] = bar.open_time
        return self._step(bar)

    @abstractmethod
    def _step(self, bar: Bar) -> Signal | None:
        """The signal that `bar`, known to be later than the last one, makes known."""


@dataclass(frozen=True)
class Strategy(ABC):
    """A strategy with its parameters set."""

    name: str
    params: Parameters

    @abstractmethod
    def warmup_bars(self, timeframe: Timeframe) -> int:
        """Bars of `timeframe` that a session wants before its signals are those of a longer run."""

    @abstractmethod
    def session(self, coin: str) -> StrategySession:
        """A fresh bar-by-bar session for one coin, interpreted."""

    @abstractmethod
    def scan(self, candles: Candles) -> SignalColumns:
        """Every signal of `candles` from a fresh state."""

    @abstractmethod
    def signal(self, coin: str, bar_time: int, record: FloatArray) -> Signal:
        """The record of one signal of a scan in words and names."""

    def described(self, candles: Candles, found: SignalColumns) -> tuple[Signal, ...]:
        """The signals of a scan of `candles` in words and names."""
        return found.said or tuple(
            self.signal(candles.coin, int(candles.open_time[bar]), record)
            for bar, record in zip(found.bars.tolist(), found.records, strict=True)
        )
