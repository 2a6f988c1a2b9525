"""The contract of a strategy: a parameters model and two kernels.

`step` takes one closed bar and says whether it makes a signal, written as numbers into a record;
`scan` is the loop over `step` that the lab compiles. A record starts with the fields below, then
the points of the factors, then whatever numbers the strategy's `facts` need. A signal depends on
bars alone, never on positions or money.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fractaltrader.market import Bar, Candles
from fractaltrader.smc.engine import columns
from fractaltrader.smc.events import FloatArray, IntArray
from fractaltrader.smc.kernel import compiled
from fractaltrader.smc.parameters import Parameters
from fractaltrader.smc.state import pack, unpack_into
from fractaltrader.strategies.signal import Signal

__all__ = ["Signal", "SignalColumns", "Strategy", "StrategyKind", "StrategySession"]

SIDE, ENTRY, STOP, TARGET, CONFIDENCE, ATR, BASELINE, FACTORS = range(8)

State = tuple[Any, ...]
Facts = Callable[[list[float]], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class StrategyKind:
    """What a strategy's module provides; one entry of the registry.

    `step(config, state, open, high, low, close, volume, record) -> bool` and
    `scan(config, state, open, high, low, close, volume) -> (bars, records)`.
    """

    name: str
    summary: str
    parameters: type[Parameters]
    factor_names: tuple[str, ...]
    record_width: int
    new_config: Callable[[Any], State]
    new_state: Callable[[Any], State]
    step: Callable[..., bool]
    scan: Callable[..., tuple[IntArray, FloatArray]]
    facts: Facts
    warmup_bars: Callable[[Any], int]


@dataclass(frozen=True, slots=True)
class SignalColumns:
    """Signals of a batch run: the bar each became known at [n], and its record [n, width]."""

    bars: IntArray
    records: FloatArray

    def __len__(self) -> int:
        return len(self.bars)


@dataclass(frozen=True, slots=True)
class Strategy:
    """A strategy with its parameters set."""

    kind: StrategyKind
    params: Parameters

    @property
    def name(self) -> str:
        """Its name in the registry."""
        return self.kind.name

    @property
    def warmup_bars(self) -> int:
        """Bars of history a session wants before its signals are those of a longer run."""
        return self.kind.warmup_bars(self.params)

    def session(self, coin: str) -> "StrategySession":
        """A fresh bar-by-bar session for one coin, interpreted."""
        return StrategySession(self, coin)

    def scan(self, candles: Candles) -> SignalColumns:
        """Every signal of `candles` from a fresh state, compiled (the `lab` extra)."""
        config = self.kind.new_config(self.params)
        state = self.kind.new_state(config)
        bars, records = compiled(self.kind.scan)(config, state, *columns(candles))
        return SignalColumns(bars.copy(), records.copy())

    def signal(self, coin: str, bar_time: int, record: FloatArray) -> Signal:
        """The record of one signal in words and names."""
        values: list[float] = record.tolist()
        names = self.kind.factor_names
        return Signal(
            strategy=self.name,
            coin=coin,
            side=int(values[SIDE]),
            bar_time=bar_time,
            entry=values[ENTRY],
            stop=values[STOP],
            target=values[TARGET],
            confidence=values[CONFIDENCE],
            factors=tuple(zip(names, values[FACTORS : FACTORS + len(names)], strict=True)),
            facts=self.kind.facts(values),
            atr=values[ATR],
            atr_baseline=values[BASELINE],
        )


class _Session(NamedTuple):
    last: IntArray
    state: State


class StrategySession:
    """One strategy on one coin, bar by bar: what the bot runs."""

    def __init__(self, strategy: Strategy, coin: str) -> None:
        self.strategy = strategy
        self.coin = coin
        self._config = strategy.kind.new_config(strategy.params)
        self._state = strategy.kind.new_state(self._config)
        self._record = np.zeros(strategy.kind.record_width)
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
        kind = self.strategy.kind
        if not kind.step(self._config, self._state, *bar[1:], self._record):
            return None
        return self.strategy.signal(self.coin, bar.open_time, self._record)

    def snapshot(self) -> bytes:
        """Everything the session remembers."""
        return pack(_Session(self._last, self._state), self._owner)

    def restore(self, snapshot: bytes) -> None:
        """Continue where a snapshot of the same strategy, parameters and coin left off.

        Raises UserError for any other snapshot and leaves the session as it was.
        """
        unpack_into(_Session(self._last, self._state), self._owner, snapshot)

    @property
    def _owner(self) -> str:
        return f"{self.strategy.name} {self.coin} {self.strategy.params.model_dump_json()}"
