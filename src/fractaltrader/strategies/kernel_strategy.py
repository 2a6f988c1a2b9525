"""Strategies as kernels: `step` takes one closed bar, `scan` is the loop that the lab compiles."""

from collections.abc import Callable
from dataclasses import dataclass
from types import FunctionType
from typing import Any, NamedTuple

import numpy as np

from fractaltrader.market import Bar, Candles, Timeframe
from fractaltrader.parameters import Parameters
from fractaltrader.smc.batch import columns
from fractaltrader.smc.engine import BAR_ROWS
from fractaltrader.smc.events import EventBuffer, FloatArray, IntArray, new_buffer
from fractaltrader.smc.kernel import compiled, kernel
from fractaltrader.smc.state import as_record, pack, scalar_views, unpack_into
from fractaltrader.strategies.base import (
    ATR,
    BASELINE,
    CONFIDENCE,
    ENTRY,
    FACTORS,
    SIDE,
    STOP,
    TARGET,
    Signal,
    SignalColumns,
    Strategy,
    StrategySession,
)
from fractaltrader.strategies.signal import LazyFacts, Say

State = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class StrategyKind:
    """What a strategy's module provides; one entry of the registry.

    `step(config, state, events, time, open, high, low, close, volume, record) -> bool` says whether
    the bar makes a signal, which is then in `record`. `scan(config, state, events, time, open,
    high, low, close, volume, bars, records) -> int` does so for every bar and returns how many
    did. `new_config(params)` and `new_state(config)` are named tuples of numbers and arrays;
    `warmup_bars(params, timeframe)` is the history a session wants, in bars of that timeframe.
    """

    name: str
    summary: str
    parameters: type[Parameters]
    factor_names: tuple[str, ...]
    record_width: int
    new_config: Callable[[Any], State]
    new_state: Callable[[Any], State]
    step: Callable[..., bool]
    scan: Callable[..., int]
    facts: Say
    warmup_bars: Callable[[Any, Timeframe], int]

    def strategy(self, params: Parameters) -> "KernelStrategy":
        """The strategy with `params`."""
        return KernelStrategy(self.name, params, self)


def _step(*_bar: Any) -> bool:
    """Stands in `_scan` for a strategy's own `step`."""
    raise NotImplementedError


def _scan(
    config: Any,
    state: Any,
    events: EventBuffer,
    time: IntArray,
    open_: FloatArray,
    high: FloatArray,
    low: FloatArray,
    close: FloatArray,
    volume: FloatArray,
    bars: IntArray,
    records: FloatArray,
) -> int:
    count = 0
    for t in range(len(close)):
        if _step(
            config, state, events, time[t], open_[t], high[t], low[t], close[t], volume[t],
            records[count],
        ):  # fmt: skip
            bars[count] = t
            count += 1
    return count


def scan_of(step: Callable[..., bool]) -> Callable[..., int]:
    """The kernel that takes every bar to `step`, as a `StrategyKind` wants it.

    It returns how many bars made a signal; their places and records fill the last two arrays.
    """
    # Machine code is kept on disk by name, so that each strategy's loop has its own.
    name = f"scan_{step.__module__}_{step.__qualname__}".replace(".", "_")
    scan = FunctionType(_scan.__code__, {**_scan.__globals__, _step.__name__: step}, name)
    scan.__qualname__ = name
    return kernel(scan)


@dataclass(frozen=True)
class KernelStrategy(Strategy):
    """A strategy whose decisions are kernels: interpreted in the bot, compiled in the lab."""

    kind: StrategyKind

    def warmup_bars(self, timeframe: Timeframe) -> int:
        """As the kind reckons from the parameters."""
        return self.kind.warmup_bars(self.params, timeframe)

    def session(self, coin: str) -> "KernelSession":
        """A fresh session, interpreted."""
        return KernelSession(self, coin)

    def scan(self, candles: Candles) -> SignalColumns:
        """Every signal of `candles` from a fresh state, compiled (the `lab` extra)."""
        config = self.kind.new_config(self.params)
        machine = (config, self.kind.new_state(config), new_buffer(BAR_ROWS))
        # Room for one signal a bar; memory that is never written costs nothing.
        bars = np.empty(len(candles), np.int64)
        records = np.empty((len(candles), self.kind.record_width))
        count = compiled(self.kind.scan)(
            *(as_record(part) for part in machine),
            np.ascontiguousarray(candles.open_time), *columns(candles), bars, records,
        )  # fmt: skip
        return SignalColumns(bars[:count].copy(), records[:count].copy())

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
            facts=LazyFacts(self.kind.facts, values),
            atr=values[ATR],
            atr_baseline=values[BASELINE],
        )


class _Session(NamedTuple):
    last: IntArray
    state: State


class KernelSession(StrategySession):
    """A kernel strategy on one coin; its state can be kept and taken up again."""

    def __init__(self, strategy: KernelStrategy, coin: str) -> None:
        super().__init__(coin)
        self.strategy = strategy
        kind = strategy.kind
        self._config = kind.new_config(strategy.params)
        self._state = kind.new_state(self._config)
        self._record = np.zeros(kind.record_width)
        events = new_buffer(BAR_ROWS)
        self._memory = scalar_views(self._state), scalar_views(events), self._record.data

    def _step(self, bar: Bar) -> Signal | None:
        state, events, record = self._memory
        if not self.strategy.kind.step(self._config, state, events, *bar, record):
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
