"""Detection over all bars at once, compiled (the `lab` extra): the loop over `step`."""

from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fractaltrader.market import Candles
from fractaltrader.smc.clauses import MOST_TIMEFRAMES, EngineConfig, EngineParameters
from fractaltrader.smc.engine import (
    BATCH_ROWS,
    FLUSH_ROWS,
    GIVEN_MS,
    EngineState,
    begin,
    end,
    new_state,
    step,
)
from fractaltrader.smc.events import (
    EventBuffer,
    EventColumns,
    FloatArray,
    IntArray,
    flush,
    new_buffer,
    new_columns,
)
from fractaltrader.smc.kernel import compiled, kernel
from fractaltrader.smc.state import as_record, as_records

__all__ = ["columns", "detect_events"]

# Rows a bar that a batch run has room for at first. A year of minutes brings 1.9, its busiest
# months 2.02; with more, the C library would not keep the memory of such a year for the next run.
ROOM = 2.5


@kernel
def run(
    config: EngineConfig,
    state: EngineState,
    events: EventBuffer,
    columns: EventColumns,
    progress: IntArray,
    time: IntArray,
    open_: FloatArray,
    high: FloatArray,
    low: FloatArray,
    close: FloatArray,
    volume: FloatArray,
) -> bool:
    """`step` over the bars from `progress[0]` on; False when `columns` are full.

    `progress` is the next bar and the number of events moved to `columns`.
    """
    done = progress[1]
    bar = progress[0]
    complete = False
    # The buffer is small, to stay in the processor's nearest cache, and is emptied when half full.
    while done + events.size[0] <= len(columns.kind):
        if events.size[0] > 0:
            done = flush(events, columns, done)
        if bar == len(close):
            complete = True
            break
        begin(state, events)
        while bar < len(close) and events.size[0] < FLUSH_ROWS:
            i = np.uint64(bar)
            step(config, state, events, time[i], open_[i], high[i], low[i], close[i], volume[i])
            bar += 1
        end(state, events)
    progress[0] = bar
    progress[1] = done
    return complete


@lru_cache(maxsize=8)
def _blank(most_levels: int, most_zones: int) -> tuple[NDArray[np.void], NDArray[np.void]]:
    """State and buffer before the first bar, to be copied: building them takes longer than
    detection on ten thousand bars."""
    config = EngineParameters(max_levels=most_levels, max_zones=most_zones).engine_config()
    return as_records(new_state(config)), as_records(new_buffer(BATCH_ROWS))


def _fresh(params: EngineParameters, bar_ms: int) -> tuple[np.void, np.void]:
    """State and buffer before the first bar; memory that no timeframe will read is left alone."""
    blank, blank_buffer = _blank(params.max_levels, params.max_zones)
    state, buffer = np.empty_like(blank), np.empty_like(blank_buffer)
    most = blank["cores"].nbytes
    used = most // (1 + MOST_TIMEFRAMES) * (1 + len(params.htf))
    fresh, template = state.view(np.uint8), blank.view(np.uint8)
    fresh[:used] = template[:used]  # the cores come first
    fresh[most:] = template[most:]
    state["clock"][0, GIVEN_MS] = bar_ms
    buffer["size"] = 0
    return state[0], buffer[0]


@lru_cache(maxsize=64)
def _machine_config(params: EngineParameters, bar_ms: int) -> Any:
    """The parameters as machine code takes them: a record, so that it is the same for all. Only
    the default clauses have one of their own, an eighth faster, which holds them as constants."""
    config = params.engine_config(bar_ms)
    if params != EngineParameters():
        return as_record(config)
    # By name, as numba itself: whoever imports the engine (the bot) needs neither.
    return import_module("fractaltrader.smc.fixed").Fixed(params.model_dump_json(), config)


def detect_events(candles: Candles, params: EngineParameters | None = None) -> EventColumns:
    """Every event of `candles`, compiled (the `lab` extra): equal to `SmcEngine` bit for bit."""
    params = params or EngineParameters()
    bar_ms = candles.timeframe.ms
    detect_all = compiled(run)  # before all else: without numba it says what to install
    machine = _machine_config(params, bar_ms), *_fresh(params, bar_ms)
    inputs = (np.ascontiguousarray(candles.open_time), *columns(candles))
    events = new_columns(int(ROOM * len(candles)) + BATCH_ROWS)
    progress = np.zeros(2, np.int64)
    while not detect_all(*machine, events, progress, *inputs):
        more = new_columns(len(events.kind))
        pairs: Any = zip(events, more, strict=True)
        events = EventColumns._make(np.concatenate(pair) for pair in pairs)
    return events.rows(slice(0, int(progress[1])))


def columns(candles: Candles) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
    """Open, high, low, close and volume, contiguous as the compiled kernels take them."""
    return (
        np.ascontiguousarray(candles.open),
        np.ascontiguousarray(candles.high),
        np.ascontiguousarray(candles.low),
        np.ascontiguousarray(candles.close),
        np.ascontiguousarray(candles.volume),
    )
