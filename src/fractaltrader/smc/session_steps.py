"""Sessions bar by bar: their first bar, running extremes, opening range and final extremes."""

from typing import NamedTuple

import numpy as np

from fractaltrader.market.timeframe import DAY_MS
from fractaltrader.smc.clauses import EngineConfig
from fractaltrader.smc.events import (
    OPENING_RANGE,
    SESSION,
    SESSION_OPEN,
    EventBuffer,
    FloatArray,
    IntArray,
    emit,
)
from fractaltrader.smc.kernel import kernel
from fractaltrader.smc.sessions import MOST_CHANGES, MOST_SESSIONS

START, END, OPENING = range(3)
# `whole`: whether the session runs; the local day it began on (also after its end, so that it does
# not begin twice); place in the table of offsets; id of SESSION_OPEN; first bar; bars of the high
# and the low; bars in the opening range, -1 once it was said.
RUNS, KEY, CHANGE, OPEN_ID, FIRST, HIGH_BAR, LOW_BAR, OPENING_BARS = range(8)
HIGH_, LOW_, OPENING_HIGH, OPENING_LOW = range(4)
NO_DAY = -(1 << 60)
NAN = float("nan")


class SessionState(NamedTuple):
    """One row a session; the prices are running readings while it runs."""

    whole: IntArray  # [MOST_SESSIONS, 8]
    price: FloatArray  # [MOST_SESSIONS, 4]


def new_session_state() -> SessionState:
    """No session runs."""
    whole = np.zeros((MOST_SESSIONS, 8), np.int64)
    whole[:, KEY] = NO_DAY
    return SessionState(whole, np.zeros((MOST_SESSIONS, 4)))


@kernel
def finish_session(state: SessionState, events: EventBuffer, place: int, now: int) -> None:
    """Emit the final high and low of a session."""
    whole = state.whole
    high = state.price[place, HIGH_]
    low = state.price[place, LOW_]
    whole[place, RUNS] = 0
    emit(
        events, SESSION, 1, whole[place, HIGH_BAR], now, whole[place, FIRST],
        whole[place, OPEN_ID], place, high, low, high,
    )  # fmt: skip
    emit(
        events, SESSION, -1, whole[place, LOW_BAR], now, whole[place, FIRST],
        whole[place, OPEN_ID], place, low, low, high,
    )  # fmt: skip


@kernel
def open_session(
    state: SessionState, events: EventBuffer, place: int, now: int, key: int,
    open_: float, high: float, low: float,
) -> None:  # fmt: skip
    """The first bar of a session."""
    whole = state.whole
    whole[place, RUNS] = 1
    whole[place, KEY] = key
    whole[place, FIRST] = now
    whole[place, OPENING_BARS] = 0
    whole[place, OPEN_ID] = emit(
        events, SESSION_OPEN, 0, now, now, now, -1, place, open_, low, high
    )
    state.price[place, HIGH_] = -np.inf
    state.price[place, LOW_] = np.inf
    state.price[place, OPENING_HIGH] = -np.inf
    state.price[place, OPENING_LOW] = np.inf


@kernel
def opening_range(
    state: SessionState, events: EventBuffer, place: int, now: int, since: int,
    length: int, bar_ms: int, high: float, low: float,
) -> None:  # fmt: skip
    """Take a bar that opens `since` ms into the session in; emit the range when it is complete."""
    whole = state.whole
    price = state.price
    if since < length:
        price[place, OPENING_HIGH] = max(price[place, OPENING_HIGH], high)
        price[place, OPENING_LOW] = min(price[place, OPENING_LOW], low)
        whole[place, OPENING_BARS] += 1
        if bar_ms == 0 or since + bar_ms < length:
            return
    complete = bar_ms > 0 and whole[place, OPENING_BARS] * bar_ms >= length
    top = price[place, OPENING_HIGH] if complete else NAN
    bottom = price[place, OPENING_LOW] if complete else NAN
    at = now if since < length else now - 1
    whole[place, OPENING_BARS] = -1
    for side in (1, -1):
        emit(
            events, OPENING_RANGE, side, at, now, whole[place, FIRST], whole[place, OPEN_ID],
            place, top if side > 0 else bottom, bottom, top,
        )  # fmt: skip


@kernel
def step_session(
    config: EngineConfig, state: SessionState, events: EventBuffer, place: int,
    now: int, time: int, bar_ms: int, open_: float, high: float, low: float,
) -> None:  # fmt: skip
    """Hold one bar against one session of wall-clock time [start, end)."""
    tables = config.sessions
    whole = state.whole
    change = whole[place, CHANGE]
    while change + 1 < MOST_CHANGES and time >= tables.change[place, change + 1]:
        change += 1
    whole[place, CHANGE] = change
    local = time + tables.offset[place, change]
    key = local // DAY_MS
    clock = local - key * DAY_MS
    start = tables.span[place, START]
    end = tables.span[place, END]
    if clock + DAY_MS < end:  # past midnight: it began the day before
        clock += DAY_MS
        key -= 1
    inside = start <= clock < end
    if whole[place, RUNS] == 1 and not (inside and key == whole[place, KEY]):
        finish_session(state, events, place, now)
    if not inside:
        return
    if key != whole[place, KEY]:
        if now == 0 and clock > start:  # it began before our bars: its extremes are not known
            whole[place, KEY] = key
            return
        open_session(state, events, place, now, key, open_, high, low)
    if whole[place, RUNS] == 0:
        return
    if high > state.price[place, HIGH_]:
        state.price[place, HIGH_] = high
        whole[place, HIGH_BAR] = now
    if low < state.price[place, LOW_]:
        state.price[place, LOW_] = low
        whole[place, LOW_BAR] = now
    if tables.span[place, OPENING] > 0 and whole[place, OPENING_BARS] >= 0:
        opening_range(
            state, events, place, now, clock - start, tables.span[place, OPENING], bar_ms,
            high, low,
        )  # fmt: skip
    if bar_ms > 0 and clock + bar_ms >= end:
        finish_session(state, events, place, now)
