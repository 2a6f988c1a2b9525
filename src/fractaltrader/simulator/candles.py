"""Candles of one coin: closed base bars, the bar that forms, and every longer interval."""

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from math import inf
from typing import Any

import msgspec
import numpy as np

from fractaltrader.market import Bar, Candles, Timeframe
from fractaltrader.market.bars import COLUMNS
from fractaltrader.simulator.numbers import float_number
from fractaltrader.simulator.state import CandleColumns

BARS_KEPT = 50_000
BARS_SERVED = 5_000
TICKS_PER_BAR = 4
DEFAULT_TIMEFRAME = Timeframe.parse("1m")


class FormingBar(msgspec.Struct, frozen=True, gc=False):
    """The bar that is still open; volume in base units, `count` price changes so far."""

    open_time: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    count: int

    def row(self) -> Bar:
        """The bar as numbers."""
        return Bar(
            self.open_time,
            float(self.open),
            float(self.high),
            float(self.low),
            float(self.close),
            float(self.volume),
        )


@dataclass(frozen=True, slots=True)
class _ClosedPart:
    """What the closed base bars contribute to a longer bar; `newest` tells when it is stale."""

    open_time: int
    newest: int
    open: float | None
    high: float
    low: float
    volumes: list[float]


class CandleSeries:
    """Base bars of one coin. They follow the price path; users' trades do not bend them."""

    def __init__(self, coin: str, timeframe: Timeframe, history: Candles | None = None) -> None:
        self.coin = coin
        self.timeframe = timeframe
        self.forming: FormingBar | None = None
        self._adopts = False
        self._parts: dict[str, _ClosedPart] = {}
        self._rows: dict[str, array[Any]] = {
            name: array("q" if name == "open_time" else "d") for name in COLUMNS
        }
        if history is not None:
            for name in COLUMNS:
                column = getattr(history, name)[-BARS_KEPT:]
                self._rows[name] = array("q" if name == "open_time" else "d", column.tolist())

    def update(self, time_ms: int, price: Decimal, volume: Decimal) -> None:
        """The price moved to `price` at `time_ms`, `volume` base units traded on the way."""
        if self._adopts:
            return
        open_time = self.timeframe.floor(time_ms)
        bar = self.forming
        if bar is not None and bar.open_time != open_time:
            self._close(bar)
            bar = None
        if bar is None:
            self.forming = FormingBar(open_time, price, price, price, price, volume, 1)
            return
        self.forming = FormingBar(
            open_time,
            bar.open,
            max(bar.high, price),
            min(bar.low, price),
            price,
            bar.volume + volume,
            bar.count + 1,
        )

    def adopt(self, bar: Bar) -> None:
        """Take a bar of somebody else's candles; from then on the price path makes none here."""
        self._adopts = True
        forming, times = self.forming, self._rows["open_time"]
        newest = forming.open_time if forming else times[-1] + 1 if times else 0
        if bar.open_time < newest:
            self._correct(bar)
            return
        count = 1
        if forming is not None and bar.open_time > forming.open_time:
            self._close(forming)
        elif forming is not None:
            count = forming.count
        open_, high, low, close, volume = (Decimal(repr(value)) for value in bar[1:])
        self.forming = FormingBar(bar.open_time, open_, high, low, close, volume, count)

    def _correct(self, bar: Bar) -> None:
        """A closed bar, replaced or put where it was missing."""
        self._parts.clear()
        times = self._rows["open_time"]
        place = bisect_left(times, bar.open_time)
        known = place < len(times) and times[place] == bar.open_time
        for name, value in zip(COLUMNS, bar, strict=True):
            if known:
                self._rows[name][place] = value
            else:
                self._rows[name].insert(place, value)

    def _close(self, bar: FormingBar) -> None:
        for name, value in zip(COLUMNS, bar.row(), strict=True):
            self._rows[name].append(value)
        if len(self._rows["open_time"]) > BARS_KEPT + BARS_SERVED:
            for name in COLUMNS:
                del self._rows[name][:BARS_SERVED]

    @property
    def last_close(self) -> Decimal | None:
        """Close of the newest closed bar."""
        closes = self._rows["close"]
        return Decimal(repr(closes[-1])) if closes else None

    def snapshot(self, timeframe: Timeframe, start_ms: int, end_ms: int) -> list[dict[str, Any]]:
        """Wire candles of `timeframe` that overlap start…end, oldest first, the newest 5000."""
        first = timeframe.floor(start_ms)
        last = min(timeframe.floor(end_ms), 1 << 61)
        # The newest 5000 of the interval exist, nothing older: bound the work by that.
        newest = self._newest_open_time()
        if newest is None:
            return []
        first = max(first, timeframe.floor(newest) - (BARS_SERVED - 1) * timeframe.ms)
        return list(self._buckets(timeframe, first, last))

    def current(self, timeframe: Timeframe) -> dict[str, Any] | None:
        """The wire candle of `timeframe` that contains the newest bar."""
        newest = self._newest_open_time()
        if newest is None:
            return None
        bar = self.forming
        if bar is None:
            open_time = timeframe.floor(newest)
            return next(self._buckets(timeframe, open_time, open_time), None)
        row = bar.row()
        if timeframe == self.timeframe:
            return self._wire(timeframe, row, bar.count)
        closed = self._closed_part(timeframe, timeframe.floor(newest))
        volumes = [*closed.volumes, row.volume]
        whole = Bar(
            closed.open_time,
            row.open if closed.open is None else closed.open,
            max(closed.high, row.high),
            min(closed.low, row.low),
            row.close,
            # Summed as `Candles.resampled` sums, so that stream and snapshot agree bit for bit.
            float(np.add.reduceat(np.array(volumes), [0])[0]),
        )
        return self._wire(timeframe, whole, TICKS_PER_BAR * len(closed.volumes) + bar.count)

    def opened_since(self, start_ms: int) -> float | None:
        """Open of the first bar that opens at `start_ms` or later; None when there is none."""
        place = bisect_left(self._rows["open_time"], start_ms)
        if place < len(self._rows["open"]):
            return float(self._rows["open"][place])
        return None if self.forming is None else float(self.forming.open)

    def volume_since(self, start_ms: int) -> float:
        """Base units traded in bars that open at `start_ms` or later."""
        place = bisect_left(self._rows["open_time"], start_ms)
        closed = sum(self._rows["volume"][place:])
        return float(closed) + (0.0 if self.forming is None else float(self.forming.volume))

    def _closed_part(self, timeframe: Timeframe, open_time: int) -> "_ClosedPart":
        """Closed base bars of the bucket at `open_time`; it changes only when a bar closes."""
        part = self._parts.get(timeframe.name)
        newest = self._rows["open_time"][-1] if self._rows["open_time"] else 0
        if part is None or (part.open_time, part.newest) != (open_time, newest):
            low = bisect_left(self._rows["open_time"], open_time)
            opens, highs, lows, volumes = (
                self._rows[name][low:] for name in ("open", "high", "low", "volume")
            )
            part = _ClosedPart(
                open_time,
                newest,
                opens[0] if opens else None,
                max(highs, default=-inf),
                min(lows, default=inf),
                volumes.tolist(),
            )
            self._parts[timeframe.name] = part
        return part

    def _newest_open_time(self) -> int | None:
        if self.forming is not None:
            return self.forming.open_time
        times = self._rows["open_time"]
        return times[-1] if times else None

    def _buckets(self, timeframe: Timeframe, first: int, last: int) -> Iterator[dict[str, Any]]:
        """Wire candles that open in first…last."""
        end = last + timeframe.ms
        low, high = (bisect_left(self._rows["open_time"], edge) for edge in (first, end))
        columns = [self._rows[name][low:high] for name in COLUMNS]
        counts = [TICKS_PER_BAR] * len(columns[0])
        bar = self.forming
        if bar is not None and first <= bar.open_time < end:
            for column, value in zip(columns, bar.row(), strict=True):
                column.append(value)
            counts.append(bar.count)
        if not counts:
            return
        base = Candles(
            self.coin,
            self.timeframe,
            np.array(columns[0], dtype=np.int64),
            *(np.array(column, dtype=np.float64) for column in columns[1:]),
        )
        merged = base.resampled(timeframe)
        starts = np.searchsorted(base.open_time, merged.open_time)
        totals = np.add.reduceat(np.array(counts), starts)
        for row, count in zip(merged.bars(), totals.tolist(), strict=True):
            yield self._wire(timeframe, row, count)

    def _wire(self, timeframe: Timeframe, bar: Bar, count: int) -> dict[str, Any]:
        return {
            "t": bar.open_time,
            "T": timeframe.close_time(bar.open_time),
            "s": self.coin,
            "i": timeframe.name,
            "o": float_number(bar.open),
            "c": float_number(bar.close),
            "h": float_number(bar.high),
            "l": float_number(bar.low),
            "v": float_number(bar.volume),
            "n": count,
        }

    def saved(self) -> CandleColumns:
        """Everything, ready to be written."""
        rows = {name: column.tobytes() for name, column in self._rows.items()}
        bar = self.forming
        forming = (
            None
            if bar is None
            else (bar.open_time, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.count)
        )
        return CandleColumns(self.timeframe.name, rows, forming)

    @classmethod
    def restored(cls, coin: str, saved: CandleColumns) -> "CandleSeries":
        """The series that `saved` wrote."""
        series = cls(coin, Timeframe.parse(saved.timeframe))
        for name, raw in saved.rows.items():
            series._rows[name].frombytes(raw)
        if saved.forming is not None:
            series.forming = FormingBar(*saved.forming)
        return series


def day_ago_price(series: CandleSeries, now_ms: int) -> Decimal | None:
    """Open of the oldest bar of the last day, the price a day ago."""
    day = Timeframe.parse("1d").ms
    found = series.opened_since(now_ms - day)
    return None if found is None else Decimal(repr(found))
