"""Extremes of the previous day, week and month, in UTC as the venue counts them."""

from typing import NamedTuple

import numpy as np

from fractaltrader.market.timeframe import DAY_MS
from fractaltrader.smc.clauses import EngineConfig
from fractaltrader.smc.events import PREV_DAY, EventBuffer, FloatArray, IntArray, emit
from fractaltrader.smc.kernel import inlined, kernel
from fractaltrader.smc.liquidity import PERIOD, Liquidity, insert, make_room

DAY, WEEK, MONTH = range(3)
START, END, BARS_ = range(3)
LOW_, HIGH_ = range(2)
NAN = float("nan")
_MONDAY_MS = 4 * DAY_MS  # the epoch was a Thursday


class Periods(NamedTuple):
    """The running day, week and month; week and month take in a day when it ends."""

    span: IntArray  # [3, 3]: START and END in epoch ms (both 0 before the first bar), BARS_ seen
    price: FloatArray  # [3, 2]: LOW_ and HIGH_


def new_periods() -> Periods:
    """No bar seen."""
    return Periods(np.zeros((3, 3), np.int64), np.zeros((3, 2)))


@kernel
def month_of(time: int) -> int:
    """Months since March of year 0 of the month that holds epoch ms `time`.

    Gregorian days counted from 1 March, so that the leap day ends a year.
    """
    days = time // DAY_MS + 719468
    era = days // 146097
    of_era = days - era * 146097
    year = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    month: int = (5 * of_year + 2) // 153
    return int((era * 400 + year) * 12 + month)


@kernel
def month_start(month: int) -> int:
    """Epoch ms at which a month of `month_of` begins."""
    year = month // 12
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * (month - year * 12) + 2) // 5
    days = era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year
    return int((days - 719468) * DAY_MS)


@kernel
def enter(periods: Periods, period: int, time: int) -> None:
    """Begin the period that holds `time`, with no bars."""
    span = periods.span
    if period == MONTH:
        month = month_of(time)
        span[period, START] = month_start(month)
        span[period, END] = month_start(month + 1)
    else:
        length = DAY_MS if period == DAY else 7 * DAY_MS
        anchor = 0 if period == DAY else _MONDAY_MS
        span[period, START] = (time - anchor) // length * length + anchor
        span[period, END] = span[period, START] + length
    span[period, BARS_] = 0
    periods.price[period, LOW_] = np.inf
    periods.price[period, HIGH_] = -np.inf


@inlined
def take_in(periods: Periods, period: int, low: float, high: float, bars: int) -> None:
    """Widen a period by `bars` bars."""
    periods.price[period, LOW_] = min(periods.price[period, LOW_], low)
    periods.price[period, HIGH_] = max(periods.price[period, HIGH_], high)
    periods.span[period, BARS_] += bars


@kernel
def finish(
    config: EngineConfig, periods: Periods, levels: Liquidity, events: EventBuffer,
    period: int, now: int, time: int, bar_ms: int,
) -> None:  # fmt: skip
    """Emit a period's extremes at the first bar after it, and watch them if they are a target."""
    span = periods.span
    start = span[period, START]
    end = span[period, END]
    bars = span[period, BARS_]
    low = periods.price[period, LOW_]
    high = periods.price[period, HIGH_]
    enter(periods, period, time)
    if bar_ms > end - start:
        return
    # Not the previous period: that one had no bars at all.
    if span[period, START] != end:
        bars = 0
    enough = bars * bar_ms >= config.min_coverage * (end - start) and bars > 0
    if bars == 0:
        low = NAN
        high = NAN
    for side in (1, -1):
        extreme = high if side > 0 else low
        level = extreme if enough else NAN
        source = emit(
            events, PREV_DAY + period, side, now - 1, now, now - 1, -1, bars, level, low, high,
        )  # fmt: skip
        if enough and config.liquidity and (config.target == 0 or config.target == 3):
            make_room(levels, events, side, now)
            insert(levels, (side + 1) >> 1, side * level, now - 1, PERIOD, source)


@kernel
def turn_day(
    config: EngineConfig, periods: Periods, levels: Liquidity, events: EventBuffer,
    now: int, time: int, bar_ms: int,
) -> None:  # fmt: skip
    """The first bar of a day: close the periods that ended before it."""
    span = periods.span
    if span[DAY, END] == 0:
        for period in range(3):
            enter(periods, period, time)
        return
    for period in (WEEK, MONTH):
        take_in(
            periods, period, periods.price[DAY, LOW_], periods.price[DAY, HIGH_], span[DAY, BARS_]
        )
    if config.days:
        finish(config, periods, levels, events, DAY, now, time, bar_ms)
    else:
        enter(periods, DAY, time)
    if time >= span[WEEK, END]:
        if config.weeks:
            finish(config, periods, levels, events, WEEK, now, time, bar_ms)
        else:
            enter(periods, WEEK, time)
    if time >= span[MONTH, END]:
        if config.months:
            finish(config, periods, levels, events, MONTH, now, time, bar_ms)
        else:
            enter(periods, MONTH, time)
