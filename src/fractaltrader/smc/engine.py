"""Detection over a stream of base bars: calendar, base timeframe and higher timeframes.

The same `step` runs interpreted (`SmcEngine`, the bot) and compiled (`batch.py`, the lab).
"""

from collections.abc import Sequence
from functools import partial
from math import inf
from typing import NamedTuple

import numpy as np

from fractaltrader.market import Bar, Timeframe
from fractaltrader.market.timeframe import DAY_MS
from fractaltrader.smc.clauses import MOST_TIMEFRAMES, EngineConfig, EngineParameters
from fractaltrader.smc.core import BARS, BIAS, Core, core_step, new_core
from fractaltrader.smc.events import (
    FIRST_ID,
    HOLE,
    TAG,
    TIMEFRAME_SHIFT,
    Event,
    EventBuffer,
    FloatArray,
    IntArray,
    emit,
    new_buffer,
    records,
)
from fractaltrader.smc.kernel import compiled_for, inlined, kernel
from fractaltrader.smc.liquidity import MOST_LEVELS
from fractaltrader.smc.periods import DAY, END, Periods, new_periods, take_in, turn_day
from fractaltrader.smc.session_steps import SessionState, new_session_state, step_session
from fractaltrader.smc.sessions import MOST_SESSIONS
from fractaltrader.smc.state import as_records, pack, scalar_views, unpack_into, views_of
from fractaltrader.smc.zones import MOST_ZONES

__all__ = ["BARS", "BIAS", "EngineState", "SmcEngine", "new_state", "step"]

# `clock`: open time of the last bar; the bars' length, from the second bar on (the shortest step so
# far unless GIVEN_MS has it). Running sums are taken afresh at the first bar after AFRESH, which
# depends on time alone. NEXT is the earlier of it and the end of the day.
LAST_TIME, BAR_MS, AFRESH, NEXT, GIVEN_MS = range(5)
HOLED, RENEWED = 1, 2  # what `look_at_clock` says of a bar
AFRESH_BARS = 64
# `htf_span`: end of the higher bar that is being built, whether it holds bars, and
# whether bars were missing before it. `htf_bar`: its prices and volume.
H_END, H_HOLDS, H_HOLE = range(3)
H_OPEN, H_HIGH, H_LOW, H_CLOSE, H_VOLUME = range(5)
# The most events one bar can bring: on each timeframe every level and zone ends (a gap that is
# filled and inverted at once says four things), and one of each else.
BAR_ROWS = (1 + MOST_TIMEFRAMES) * (2 * MOST_LEVELS + 8 * MOST_ZONES + 96) + 8 * MOST_SESSIONS + 32
_BEFORE_ALL = -(1 << 62)
_WEEK_MS = 7 * DAY_MS
_MONDAY_MS = 4 * DAY_MS


class EngineState(NamedTuple):
    """Everything detection remembers."""

    cores: tuple[Core, ...]  # the base timeframe, then the higher ones
    ids: IntArray  # [1]: the next event's id
    clock: IntArray  # [5]
    close: FloatArray  # [1]: of the last bar
    periods: Periods
    sessions: SessionState
    htf_span: IntArray  # [3, 3]
    htf_bar: FloatArray  # [3, 5]


def new_state(config: EngineConfig, bar_ms: int = 0) -> EngineState:
    """The state before the first bar; `bar_ms` 0 leaves the bars' length to be inferred."""
    return EngineState(
        tuple(new_core(config) for _ in range(1 + MOST_TIMEFRAMES)),
        np.zeros(1, np.int64),
        np.array([_BEFORE_ALL, 0, _BEFORE_ALL, _BEFORE_ALL, bar_ms]),
        np.zeros(1),
        new_periods(),
        new_session_state(),
        np.zeros((MOST_TIMEFRAMES, 3), np.int64),
        np.zeros((MOST_TIMEFRAMES, 5)),
    )


@kernel
def take_in_higher(
    config: EngineConfig, state: EngineState, place: int, time: int, open_: float, high: float,
    low: float, close: float, volume: float,
) -> None:  # fmt: skip
    """Take a base bar into the higher bar of one timeframe; the first is seen whole or left out."""
    span = state.htf_span
    bar = state.htf_bar
    if time >= span[place, H_END]:
        length = config.htf_ms[place]
        anchor = _MONDAY_MS if length == _WEEK_MS else 0
        start = (time - anchor) // length * length + anchor
        first = span[place, H_END] == 0
        span[place, H_HOLE] = 0 if first or start == span[place, H_END] else 1
        span[place, H_END] = start + length
        if first and time > start:
            return
        span[place, H_HOLDS] = 1
        bar[place, H_OPEN] = open_
        bar[place, H_HIGH] = high
        bar[place, H_LOW] = low
        bar[place, H_VOLUME] = 0.0
    if span[place, H_HOLDS] == 1:
        bar[place, H_HIGH] = max(bar[place, H_HIGH], high)
        bar[place, H_LOW] = min(bar[place, H_LOW], low)
        bar[place, H_CLOSE] = close
        bar[place, H_VOLUME] += volume


@kernel
def next_closed(
    config: EngineConfig, state: EngineState, cursor: int, time: int, open_: float, high: float,
    low: float, close: float, volume: float,
) -> int:  # fmt: skip
    """Feed a base bar to the higher timeframes until one of their bars closes.

    Every timeframe has two steps: its bar closes late where the base bar that should have closed it
    is missing; then the base bar is taken in, which may close it. Returns the number of steps done,
    the last of which closed a bar, or 0 when none closes any more.
    """
    span = state.htf_span
    while cursor < 2 * config.htf_count:
        place = cursor >> 1
        cursor += 1
        end = time
        if cursor & 1 == 0:
            take_in_higher(config, state, place, time, open_, high, low, close, volume)
            end += state.clock[BAR_MS] if state.clock[BAR_MS] > 0 else -1
        if span[place, H_HOLDS] == 1 and end >= span[place, H_END]:
            span[place, H_HOLDS] = 0
            return cursor
    return 0


@kernel
def irregular(state: EngineState, events: EventBuffer, now: int, time: int, open_: float) -> bool:
    """Learn the bars' length where it is not given; whether bars are missing before this one."""
    clock = state.clock
    away = time - clock[LAST_TIME]
    bar_ms = clock[GIVEN_MS]
    if now == 0:
        clock[BAR_MS] = bar_ms
        return False
    if bar_ms == 0:
        bar_ms = away if clock[BAR_MS] == 0 else min(away, clock[BAR_MS])
    clock[BAR_MS] = bar_ms
    if away <= bar_ms:
        return False
    close = state.close[0]
    emit(
        events, HOLE, 0, now, now, now, -1, away // bar_ms - 1, close,
        min(close, open_), max(close, open_),
    )  # fmt: skip
    return True


@inlined
def turn(
    config: EngineConfig, state: EngineState, events: EventBuffer, now: int, time: int
) -> bool:
    """The first bar from NEXT on may begin a day; whether running sums are to be taken afresh."""
    clock = state.clock
    if time >= state.periods.span[DAY, END]:
        turn_day(
            config, state.periods, state.cores[0].liquidity, events, now, time, clock[BAR_MS]
        )  # fmt: skip
    afresh = time >= clock[AFRESH]
    if afresh:
        span = AFRESH_BARS * max(clock[BAR_MS], 1)
        clock[AFRESH] = (time // span + 1) * span
    clock[NEXT] = min(clock[AFRESH], state.periods.span[DAY, END])
    return bool(afresh)


@kernel
def look_at_clock(
    config: EngineConfig, state: EngineState, events: EventBuffer, now: int, time: int, open_: float
) -> int:
    """What the time of a bar says that is not one step after the last, or the first from NEXT on.

    HOLED when bars are missing before it, RENEWED when running sums are to be taken afresh.
    """
    clock = state.clock
    said = 0
    if time - clock[LAST_TIME] != clock[BAR_MS]:
        said += HOLED * irregular(state, events, now, time, open_)
    if time >= clock[NEXT]:
        said += RENEWED * turn(config, state, events, now, time)
    return said


@inlined
def step(
    config: EngineConfig,
    state: EngineState,
    events: EventBuffer,
    time: int,
    open_: float,
    high: float,
    low: float,
    close: float,
    volume: float,
) -> None:
    """Take in one closed bar, opened at epoch ms `time`, and append what its close makes known."""
    now = state.cores[0].counters[BARS]
    events.size[TAG] = 0
    clock = state.clock
    said = 0
    if (time - clock[LAST_TIME] != clock[BAR_MS]) | (time >= clock[NEXT]):
        said = look_at_clock(config, state, events, now, time, open_)
    hole = said & HOLED != 0
    afresh = said & RENEWED != 0
    clock[LAST_TIME] = time
    state.close[0] = close
    take_in(state.periods, DAY, low, high, 1)
    for place in range(config.session_count):
        step_session(
            config, state.sessions, events, place, now, time, clock[BAR_MS], open_, high, low
        )  # fmt: skip
    # One loop over the timeframes, base first, so that machine code holds the detectors once.
    core_open, core_high, core_low, core_close, core_volume = open_, high, low, close, volume
    place = 0
    cursor = 0
    while place >= 0:
        core_step(
            config, state.cores[place], events, now, hole, afresh, core_open, core_high, core_low,
            core_close, core_volume,
        )  # fmt: skip
        place = -1
        if cursor < 2 * config.htf_count:
            cursor = next_closed(config, state, cursor, time, open_, high, low, close, volume)
            if cursor > 0:
                place = (cursor + 1) // 2
                events.size[TAG] = place << TIMEFRAME_SHIFT
                afresh = True
                bar = state.htf_bar
                core_open = bar[place - 1, H_OPEN]
                core_high = bar[place - 1, H_HIGH]
                core_low = bar[place - 1, H_LOW]
                core_close = bar[place - 1, H_CLOSE]
                core_volume = bar[place - 1, H_VOLUME]
                hole = state.htf_span[place - 1, H_HOLE] == 1


@inlined
def begin(state: EngineState, events: EventBuffer) -> None:
    """Empty the buffer for the events of the next bars."""
    events.size[0] = 0
    events.size[FIRST_ID] = state.ids[0]


@inlined
def end(state: EngineState, events: EventBuffer) -> None:
    """Count the events of the bars since `begin`."""
    state.ids[0] = events.size[FIRST_ID] + events.size[0]


@kernel
def step_in(
    config: Sequence[EngineConfig], state: Sequence[EngineState], events: Sequence[EventBuffer],
    time: int, open_: float, high: float, low: float, close: float, volume: float,
) -> None:  # fmt: skip
    """`step` on arrays of one record each."""
    begin(state[0], events[0])
    step(config[0], state[0], events[0], time, open_, high, low, close, volume)
    end(state[0], events[0])


class SmcEngine:
    """Detection bar by bar: interpreted, as the bot runs it, or `compile`d (the `lab` extra).

    `timeframe` is the bars' length; without it, it is inferred as the shortest step so far.
    `state` holds the running readings, for those who look and do not touch.
    """

    def __init__(
        self,
        params: EngineParameters | None = None,
        timeframe: Timeframe | None = None,
        *,
        compile: bool = False,
    ) -> None:
        self.params = params or EngineParameters()
        self._last = _BEFORE_ALL
        self._bar_ms = timeframe.ms if timeframe else 0
        config = self.params.engine_config(self._bar_ms)
        self.state = new_state(config, self._bar_ms)
        events = new_buffer(BAR_ROWS)
        if compile:
            memory = as_records(self.state), as_records(events)
            self.state = views_of(memory[0][0], self.state)
            self._events = scalar_views(views_of(memory[1][0], events))
            machine = as_records(config), *memory
            bar = Bar(0, 1.0, 1.0, 1.0, 1.0, 1.0)
            self._step = partial(compiled_for(step_in, *machine, *bar), *machine)
        else:
            self._events = scalar_views(events)
            self._step = partial(step_in, (config,), (scalar_views(self.state),), (self._events,))

    def on_bar(self, bar: Bar) -> list[Event]:
        """The events that the close of `bar` makes known.

        Raises ValueError, and stays as it was, for a bar that is not later than the last one or
        that cannot be: prices that are not finite, or a high below the low.
        """
        time, open_, high, low, close, _ = bar
        if time <= self._last:
            raise ValueError(f"bar {time} does not follow bar {self._last}")
        # NaN compares false.
        if not (-inf < low <= high < inf and -inf < open_ < inf and -inf < close < inf):
            raise ValueError(f"bar {time} is no candle: {bar}")
        self._last = bar.open_time
        self._step(*bar)
        return records(self._events) if self._events.size[0] else []

    def snapshot(self) -> bytes:
        """Everything the engine remembers."""
        return pack(self.state, self._owner)

    def restore(self, snapshot: bytes) -> None:
        """Continue where a snapshot of the same parameters left off; else UserError."""
        unpack_into(self.state, self._owner, snapshot)
        self._last = int(self.state.clock[LAST_TIME])

    @property
    def _owner(self) -> str:
        return f"smc engine {self._bar_ms} {self.params.model_dump_json()}"
