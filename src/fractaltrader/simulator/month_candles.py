"""Candles of calendar months (UTC), the one interval without a fixed length, made of days.

That a month opens on its first is not verified (hyperliquid.md 7.9).
"""

from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from fractaltrader.market import Timeframe
from fractaltrader.simulator.candles import CandleSeries
from fractaltrader.simulator.numbers import float_number

MONTH = "1M"
DAY = Timeframe.parse("1d")
EVER_MS = 1 << 53


def _month_of(time_ms: int) -> tuple[int, int]:
    day = datetime.fromtimestamp(time_ms / 1000, UTC)
    return day.year, day.month


def _first_ms(year: int, month: int) -> int:
    """The first millisecond of a month; month 13 is the next January."""
    first = datetime(year + (month - 1) // 12, (month - 1) % 12 + 1, 1, tzinfo=UTC)
    return int(first.timestamp()) * 1000


def _merged(month: tuple[int, int], days: list[dict[str, Any]]) -> dict[str, Any]:
    year, number = month
    return days[0] | {
        "t": _first_ms(year, number),
        "T": _first_ms(year, number + 1) - 1,
        "i": MONTH,
        "c": days[-1]["c"],
        "h": max((day["h"] for day in days), key=float),
        "l": min((day["l"] for day in days), key=float),
        "v": float_number(sum(float(day["v"]) for day in days)),
        "n": sum(day["n"] for day in days),
    }


def _months(days: list[dict[str, Any]]) -> list[dict[str, Any]]:
    by_month = groupby(days, key=lambda day: _month_of(day["t"]))
    return [_merged(month, list(same)) for month, same in by_month]


def months(series: CandleSeries, start_ms: int, end_ms: int) -> list[dict[str, Any]]:
    """Wire candles of the months that overlap start…end (UTC epoch ms), oldest first."""
    known = _months(series.snapshot(DAY, 0, EVER_MS))
    return [month for month in known if month["T"] >= start_ms and month["t"] <= end_ms]


def this_month(series: CandleSeries) -> dict[str, Any] | None:
    """The wire candle of the month that forms; None before the first price."""
    today = series.current(DAY)
    if today is None:
        return None
    return _months(series.snapshot(DAY, today["t"] - 31 * DAY.ms, EVER_MS))[-1]
