"""All detectors in their fixed order: confirm swings, test breaks, create pools, test sweeps.

The order decides ties within one bar. State is a few small arrays of declared capacity; the same
`step` runs interpreted (`SmcEngine`, the bot) and compiled (`detect`, the lab).
"""

from typing import NamedTuple

import numpy as np

from fractaltrader.market import Bar, Candles
from fractaltrader.smc.events import (
    SWING,
    Event,
    EventBuffer,
    EventColumns,
    FloatArray,
    IntArray,
    bar_capacity,
    emit,
    filled,
    new_buffer,
)
from fractaltrader.smc.kernel import compiled, kernel
from fractaltrader.smc.liquidity import Levels, add_swing, check_sweeps, new_levels
from fractaltrader.smc.parameters import EngineConfig, EngineParameters
from fractaltrader.smc.state import pack, unpack_into
from fractaltrader.smc.structure import Structure, check_break, new_structure, set_level
from fractaltrader.smc.swings import is_swing
from fractaltrader.smc.window import HIGH_, LOW_, MASK, TRUE_RANGE, mean, new_window, push

BARS, NEXT_ID, BIAS = range(3)


class EngineState(NamedTuple):
    """Everything detection remembers."""

    counters: IntArray  # [3]: BARS seen, NEXT_ID, BIAS (+1, -1, 0 before the first break)
    atr: FloatArray  # [1]: at the newest bar; NaN before there are enough bars
    window: FloatArray
    structure: Structure
    lows: Levels
    highs: Levels


def new_state(config: EngineConfig) -> EngineState:
    """The state before the first bar."""
    return EngineState(
        np.zeros(3, np.int64),
        np.full(1, np.nan),
        new_window(),
        new_structure(),
        new_levels(config.max_levels),
        new_levels(config.max_levels),
    )


@kernel
def _confirm(
    config: EngineConfig, state: EngineState, events: EventBuffer, t: int, column: int, side: int
) -> int:
    """Emit the swing of `side` that bar `t` confirms; its event id, or -1."""
    window = state.window
    if not is_swing(window, t, column, side, config.left, config.right, config.ties_count):
        return -1
    pivot = t - config.right
    level = window[pivot & MASK, column]
    swing: int = state.counters[NEXT_ID]
    emit(events, swing, SWING, side, pivot, t, pivot, -1, 1, level, level)
    state.counters[NEXT_ID] = swing + 1
    set_level(state.structure, side, level, swing, pivot)
    return swing


@kernel
def _break(state: EngineState, events: EventBuffer, t: int, close: float, side: int) -> None:
    counters = state.counters
    before = events.size[0]
    counters[BIAS] = check_break(
        state.structure, events, counters[NEXT_ID], counters[BIAS], side, t, close
    )
    counters[NEXT_ID] += events.size[0] - before


@kernel
def step(
    config: EngineConfig,
    state: EngineState,
    events: EventBuffer,
    open_: float,
    high: float,
    low: float,
    close: float,
    volume: float,
) -> None:
    """Take in one closed bar and append the events that its close makes known."""
    counters = state.counters
    t = counters[BARS]
    push(state.window, t, open_, high, low, close, volume)
    atr = mean(state.window, t, config.atr_bars, TRUE_RANGE)
    state.atr[0] = atr

    swing_high = _confirm(config, state, events, t, HIGH_, 1)
    swing_low = _confirm(config, state, events, t, LOW_, -1)

    _break(state, events, t, close, 1)
    _break(state, events, t, close, -1)

    pivot = t - config.right
    tolerance = config.equal_atr * atr
    if swing_high >= 0:
        level = state.window[pivot & MASK, HIGH_]
        counters[NEXT_ID] += add_swing(
            state.highs, events, counters[NEXT_ID], 1, t, pivot, swing_high, level, tolerance
        )
    if swing_low >= 0:
        level = state.window[pivot & MASK, LOW_]
        counters[NEXT_ID] += add_swing(
            state.lows, events, counters[NEXT_ID], -1, t, pivot, swing_low, level, tolerance
        )

    counters[NEXT_ID] += check_sweeps(
        state.highs, events, counters[NEXT_ID], 1, t, high, close, config.reclaim_bars
    )
    counters[NEXT_ID] += check_sweeps(
        state.lows, events, counters[NEXT_ID], -1, t, low, close, config.reclaim_bars
    )
    counters[BARS] = t + 1


@kernel
def grown(events: EventBuffer) -> EventBuffer:
    """The same events in a buffer of twice the room."""
    size = len(events.whole)
    whole = np.zeros((2 * size, events.whole.shape[1]), np.int64)
    price = np.zeros((2 * size, events.price.shape[1]))
    # Loops, because numba's slice assignment takes seconds to compile.
    for row in range(size):
        for column in range(whole.shape[1]):
            whole[row, column] = events.whole[row, column]
        for column in range(price.shape[1]):
            price[row, column] = events.price[row, column]
    return EventBuffer(whole, price, events.size)


@kernel
def run(
    config: EngineConfig,
    state: EngineState,
    events: EventBuffer,
    open_: FloatArray,
    high: FloatArray,
    low: FloatArray,
    close: FloatArray,
    volume: FloatArray,
) -> EventBuffer:
    """`step` over every bar; the buffer, grown as needed, with all events."""
    most = bar_capacity(config.max_levels)
    for i in range(len(close)):
        if events.size[0] + most > len(events.whole):
            events = grown(events)
        step(config, state, events, open_[i], high[i], low[i], close[i], volume[i])
    return events


class SmcEngine:
    """Detection bar by bar, interpreted: what the bot runs."""

    def __init__(self, params: EngineParameters | None = None) -> None:
        self.params = params or EngineParameters()
        self._config = self.params.engine_config()
        self._state = new_state(self._config)
        self._events = new_buffer(bar_capacity(self._config.max_levels))

    def on_bar(self, bar: Bar) -> list[Event]:
        """The events that the close of `bar` makes known; bars come oldest first, none twice."""
        self._events.size[0] = 0
        step(self._config, self._state, self._events, *bar[1:])
        return filled(self._events).records() if self._events.size[0] else []

    def snapshot(self) -> bytes:
        """Everything the engine remembers."""
        return pack(self._state, self._owner)

    def restore(self, snapshot: bytes) -> None:
        """Continue where a snapshot of the same parameters left off; else UserError."""
        unpack_into(self._state, self._owner, snapshot)

    @property
    def _owner(self) -> str:
        return f"smc engine {self.params.model_dump_json()}"


def detect(candles: Candles, params: EngineParameters | None = None) -> EventColumns:
    """Every event of `candles`, compiled (the `lab` extra): equal to `SmcEngine` bit for bit."""
    config = (params or EngineParameters()).engine_config()
    events = compiled(run)(
        config,
        new_state(config),
        new_buffer(max(1024, bar_capacity(config.max_levels))),
        *columns(candles),
    )
    return filled(events)


def columns(candles: Candles) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
    """Open, high, low, close and volume, contiguous as the compiled kernels take them."""
    return (
        np.ascontiguousarray(candles.open),
        np.ascontiguousarray(candles.high),
        np.ascontiguousarray(candles.low),
        np.ascontiguousarray(candles.close),
        np.ascontiguousarray(candles.volume),
    )
