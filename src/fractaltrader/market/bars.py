"""Bars: one at a time (`Bar`) and in columns (`Candles`)."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from fractaltrader.errors import UserError, did_you_mean
from fractaltrader.market.timeframe import TIMEFRAMES, Timeframe

FloatColumn = NDArray[np.float64]
TimeColumn = NDArray[np.int64]

PRICE_COLUMNS = ("open", "high", "low", "close")
COLUMNS = ("open_time", *PRICE_COLUMNS, "volume")


class Bar(NamedTuple):
    """One closed candle. Times are epoch milliseconds of the open, volume is in base units."""

    open_time: int
    open: float
    high: float
    low: float
    close: float
    volume: float


def utc(time_ms: int) -> str:
    """`time_ms` as people read it: 2025-03-14 10:00:00Z; as it is when no calendar has it."""
    try:
        return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return f"{time_ms} ms"


@dataclass(frozen=True, slots=True, eq=False)
class Candles:
    """Closed candles of one coin in columns, oldest first; missing bars are absent rows."""

    coin: str
    timeframe: Timeframe
    open_time: TimeColumn
    open: FloatColumn
    high: FloatColumn
    low: FloatColumn
    close: FloatColumn
    volume: FloatColumn

    @classmethod
    def of(cls, coin: str, timeframe: Timeframe, bars: list[Bar]) -> Self:
        """Columns of `bars`, validated."""
        columns = list(zip(*bars, strict=True)) if bars else [()] * len(COLUMNS)
        return cls(
            coin,
            timeframe,
            np.array(columns[0], dtype=np.int64),
            *(np.array(column, dtype=np.float64) for column in columns[1:]),
        ).validated()

    @classmethod
    def from_frame(
        cls, frame: Any, coin: str = "?", timeframe: Timeframe | str | None = None
    ) -> Self:
        """The candles of a polars or pandas frame, validated; absent rows (holes) are legal.

        Columns are `open_time` (UTC epoch milliseconds of the open, or datetimes), `open`, `high`,
        `low`, `close` and `volume` (base units); more are ignored. A pandas frame may have its
        times as a DatetimeIndex instead. Naive datetimes are UTC. The timeframe is the one that the
        times show. Raises UserError naming the column, or the row and its rule.
        """
        found = [str(name) for name in frame.columns]
        values = {name: frame[name] for name in COLUMNS if name in found}
        index = getattr(frame, "index", None)
        if "open_time" not in values and getattr(index, "inferred_type", "") == "datetime64":
            values["open_time"] = index
        for name in COLUMNS:
            if name not in values:
                hint = did_you_mean(name, found) or f"; the frame has {', '.join(found) or 'none'}"
                raise UserError(f"candles {coin}: column {name!r} is missing{hint}")
        times = _milliseconds(values["open_time"], coin)
        if isinstance(timeframe, str):
            timeframe = Timeframe.parse(timeframe)
        return cls(
            coin,
            timeframe or infer_timeframe(times),
            times,
            *(_floats(np.asarray(values[name]), name, coin) for name in COLUMNS[1:]),
        ).validated()

    def __len__(self) -> int:
        return len(self.open_time)

    def bar(self, index: int) -> Bar:
        """Row `index` as a Bar of plain Python numbers."""
        return Bar(
            int(self.open_time[index]),
            float(self.open[index]),
            float(self.high[index]),
            float(self.low[index]),
            float(self.close[index]),
            float(self.volume[index]),
        )

    def bars(self) -> Iterator[Bar]:
        """Every row, oldest first."""
        return (self.bar(index) for index in range(len(self)))

    def slice(self, start: int, stop: int) -> "Candles":
        """Rows start…stop-1; the columns are views."""
        return Candles(
            self.coin,
            self.timeframe,
            self.open_time[start:stop],
            *(getattr(self, name)[start:stop] for name in COLUMNS[1:]),
        )

    def validated(self) -> Self:
        """Itself when every row obeys the rules of a candle; else UserError naming row and rule."""
        if len(self) == 0:
            raise UserError(f"candles {self.coin}: no rows; give at least one candle")
        for name in COLUMNS[1:]:
            column = getattr(self, name)
            self._refuse(~np.isfinite(column), name, "must be a finite number")
        for name in PRICE_COLUMNS:
            self._refuse(getattr(self, name) <= 0, name, "must be above zero")
        self._refuse(self.volume < 0, "volume", "must not be negative")
        steps = np.diff(self.open_time)
        self._refuse(np.append(False, steps == 0), "open_time", "is a duplicate")
        self._refuse(np.append(False, steps < 0), "open_time", "is not sorted, oldest first")
        self._refuse(
            self.open_time % self.timeframe.ms != self.timeframe.floor(0) % self.timeframe.ms,
            "open_time",
            f"is not aligned to {self.timeframe}",
        )
        self._refuse(self.high < self.low, "high", "is below the low")
        self._refuse(
            self.high < np.maximum(self.open, self.close), "high", "is below open or close"
        )
        self._refuse(self.low > np.minimum(self.open, self.close), "low", "is above open or close")
        return self

    def _refuse(self, bad: NDArray[np.bool_], column: str, rule: str) -> None:
        if not bad.any():
            return
        row = int(np.argmax(bad))
        raise UserError(
            f"candles {self.coin}: row {row + 1} of {len(self)} "
            f"({utc(int(self.open_time[row]))}): {column} = "
            f"{getattr(self, column)[row]} {rule}; repair or drop the row"
        )

    def resampled(self, timeframe: Timeframe) -> "Candles":
        """Candles of a longer timeframe; a bucket with missing base bars uses those it has."""
        if timeframe == self.timeframe:
            return self
        if timeframe.ms % self.timeframe.ms:
            raise UserError(
                f"timeframe: cannot build {timeframe} from {self.timeframe} candles of "
                f"{self.coin}; choose a multiple of {self.timeframe}"
            )
        anchor = timeframe.floor(0)
        bucket = (self.open_time - anchor) // timeframe.ms
        starts = np.flatnonzero(np.append(True, np.diff(bucket) != 0))
        ends = np.append(starts[1:], len(self)) - 1
        return Candles(
            self.coin,
            timeframe,
            bucket[starts] * timeframe.ms + anchor,
            self.open[starts],
            np.maximum.reduceat(self.high, starts),
            np.minimum.reduceat(self.low, starts),
            self.close[ends],
            np.add.reduceat(self.volume, starts),
        )


def _milliseconds(column: Any, coin: str) -> TimeColumn:
    """Open times as epoch milliseconds; naive datetimes are UTC."""
    values = np.asarray(column)
    if "datetime64" in str(column.dtype):
        values = np.asarray(column, "datetime64[ns]")  # pandas keeps zoned times as objects
    if values.dtype.kind == "M":
        if np.isnat(values).any():
            raise UserError(f"candles {coin}: open_time has a row without a time; drop it")
        return values.astype("datetime64[ms]").astype(np.int64)
    if values.dtype.kind not in "iu":
        raise UserError(
            f"candles {coin}: open_time is {values.dtype}; give whole epoch milliseconds or "
            "datetimes"
        )
    return values.astype(np.int64)


def _floats(values: NDArray[Any], name: str, coin: str) -> FloatColumn:
    """A column as float64, always a copy: views of a frame are read-only."""
    if values.dtype.kind not in "iuf":
        raise UserError(f"candles {coin}: {name} is {values.dtype}; give numbers")
    return np.array(values, np.float64)


def infer_timeframe(open_time: TimeColumn) -> Timeframe:
    """The timeframe of open times: the longest that divides the most common step between bars.

    Gaps are longer steps and rarer. A bar off the grid is not hidden by a shorter timeframe: it is
    left for `Candles.validated` to name. Raises UserError when no timeframe fits.
    """
    steps = np.abs(np.diff(open_time))
    steps = steps[steps > 0]
    if len(steps) == 0:
        raise UserError("open_time: at least two candles with different times are needed")
    lengths, counts = np.unique(steps, return_counts=True)
    common = int(lengths[np.argmax(counts)])
    for timeframe in reversed(TIMEFRAMES):
        if common % timeframe.ms == 0:
            return timeframe
    raise UserError(
        f"open_time: steps of {common} ms fit no known timeframe; times are epoch milliseconds"
    )
