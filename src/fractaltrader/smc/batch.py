"""Detection over all bars at once, compiled (the `lab` extra): the loop over `step`."""

from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fractaltrader.market import Candles
from fractaltrader.smc.clauses import MOST_TIMEFRAMES, EngineConfig, EngineParameters
from fractaltrader.smc.engine import BAR_ROWS, GIVEN_MS, EngineState, new_state, step
from fractaltrader.smc.events import (
    EventBuffer,
    EventColumns,
    FloatArray,
    IntArray,
    columns_of,
    new_buffer,
    wider,
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
    most: int,
    bar: int,
    time: IntArray,
    open_: FloatArray,
    high: FloatArray,
    low: FloatArray,
    close: FloatArray,
    volume: FloatArray,
) -> int:
    """`step` over the bars from `bar` on while `events` are at most `most`: the bar it came to."""
    while bar < len(close) and events.size[0] <= most:
        i = np.uint64(bar)
        step(config, state, events, time[i], open_[i], high[i], low[i], close[i], volume[i])
        bar += 1
    return bar


@lru_cache(maxsize=8)
def _blank(most_levels: int, most_zones: int) -> NDArray[np.void]:
    """The state before the first bar, to be copied: building it takes longer than detection on ten
    thousand bars."""
    config = EngineParameters(max_levels=most_levels, max_zones=most_zones).engine_config()
    return as_records(new_state(config))


def _fresh(params: EngineParameters, bar_ms: int) -> np.void:
    """The state before the first bar; memory that no timeframe will read is left alone."""
    blank = _blank(params.max_levels, params.max_zones)
    state = np.empty_like(blank)
    most = blank["cores"].nbytes
    used = most // (1 + MOST_TIMEFRAMES) * (1 + len(params.htf))
    fresh, template = state.view(np.uint8), blank.view(np.uint8)
    fresh[:used] = template[:used]  # the cores come first
    fresh[most:] = template[most:]
    state["clock"][0, GIVEN_MS] = bar_ms
    record: np.void = state[0]
    return record


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
    in_place = import_module("fractaltrader.smc.in_place").InPlace
    machine = _machine_config(params, bar_ms), _fresh(params, bar_ms)
    inputs = (np.ascontiguousarray(candles.open_time), *columns(candles))
    rows = int(ROOM * len(candles)) + BAR_ROWS
    events = new_buffer(rows)
    bar = 0
    while True:
        bar = detect_all(*machine, in_place(events), rows - BAR_ROWS, bar, *inputs)
        if bar == len(candles):
            return columns_of(events)
        rows *= 2
        events = wider(events, rows)


def columns(candles: Candles) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
    """Open, high, low, close and volume, contiguous as the compiled kernels take them."""
    return (
        np.ascontiguousarray(candles.open),
        np.ascontiguousarray(candles.high),
        np.ascontiguousarray(candles.low),
        np.ascontiguousarray(candles.close),
        np.ascontiguousarray(candles.volume),
    )
