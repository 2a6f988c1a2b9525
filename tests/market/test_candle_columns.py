"""Candles: what they refuse, and the laws of building longer bars from shorter ones."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fractaltrader.errors import UserError
from fractaltrader.market import Bar, Candles, Timeframe
from fractaltrader.market.bars import COLUMNS, infer_timeframe, utc
from fractaltrader.market.timeframe import TIMEFRAMES

MINUTE = Timeframe.parse("1m")
START = 1_741_946_400_000  # 2025-03-14 10:00 UTC, a Friday


@st.composite
def candles(draw: st.DrawFn) -> Candles:
    """Minute candles with whole-number values, so that sums are exact, and with absent bars."""
    minutes = sorted(draw(st.sets(st.integers(0, 3_000), min_size=1, max_size=60)))
    bars = []
    for minute in minutes:
        low, *middle, high = sorted(draw(st.lists(st.integers(1, 999), min_size=4, max_size=4)))
        opened, closed = draw(st.permutations(middle))
        volume = draw(st.integers(0, 1_000))
        bars.append(Bar(START + minute * MINUTE.ms, opened, high, low, closed, volume))
    return Candles.of("BTC", MINUTE, bars)


def same(one: Candles, other: Candles) -> bool:
    """Whether both hold the same bars of the same timeframe."""
    return one.timeframe == other.timeframe and all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in COLUMNS
    )


@given(candles(), st.sampled_from(TIMEFRAMES))
def test_a_longer_bar_is_the_bars_in_it(base: Candles, timeframe: Timeframe) -> None:
    """Each longer bar has the first open, highest high, lowest low, last close and summed volume
    of exactly the base bars it spans, and opens where its timeframe says."""
    longer = base.resampled(timeframe).validated()
    buckets: dict[int, list[Bar]] = {}
    for bar in base.bars():
        buckets.setdefault(timeframe.floor(bar.open_time), []).append(bar)
    expected = [
        Bar(
            start,
            bars[0].open,
            max(bar.high for bar in bars),
            min(bar.low for bar in bars),
            bars[-1].close,
            sum(bar.volume for bar in bars),
        )
        for start, bars in buckets.items()
    ]
    assert list(longer.bars()) == expected


@given(candles(), st.sampled_from(TIMEFRAMES), st.sampled_from(TIMEFRAMES))
def test_resampling_in_two_steps_is_resampling_in_one(
    base: Candles, middle: Timeframe, last: Timeframe
) -> None:
    """By way of any timeframe that divides the last, the result is the direct one."""
    assume(last.ms % middle.ms == 0)
    assert same(base.resampled(middle).resampled(last), base.resampled(last))


def test_a_timeframe_that_does_not_divide_is_refused() -> None:
    """Five minutes cannot be built from three; the error says what can."""
    three = Candles.of("BTC", Timeframe.parse("3m"), [Bar(0, 1.0, 1.0, 1.0, 1.0, 0.0)])
    with pytest.raises(UserError, match=r"5m from 3m candles of BTC.*multiple of 3m"):
        three.resampled(Timeframe.parse("5m"))


@given(candles(), st.data())
def test_slices_and_rows_agree(base: Candles, data: st.DataObject) -> None:
    """A slice holds the rows it names, in columns and one by one."""
    start = data.draw(st.integers(0, len(base) - 1))
    stop = data.draw(st.integers(start, len(base)))
    assert list(base.slice(start, stop).bars()) == list(base.bars())[start:stop]


GOOD = Bar(START, 10.0, 12.0, 9.0, 11.0, 5.0)
BAD_BARS = {
    "NaN open": (GOOD._replace(open=float("nan")), "open = nan must be a finite number"),
    "infinite volume": (GOOD._replace(volume=float("inf")), "volume = inf must be a finite"),
    "zero low": (GOOD._replace(low=0.0), "low = 0.0 must be above zero"),
    "negative volume": (GOOD._replace(volume=-1.0), "volume = -1.0 must not be negative"),
    "high below low": (GOOD._replace(high=8.0), "high = 8.0 is below the low"),
    "high below close": (GOOD._replace(high=10.5), "high = 10.5 is below open or close"),
    "low above open": (GOOD._replace(low=10.5), "low = 10.5 is above open or close"),
}


@pytest.mark.parametrize(("bad", "rule"), BAD_BARS.values(), ids=BAD_BARS)
@given(good=candles(), data=st.data())
def test_a_bad_bar_is_named_wherever_it_stands(
    bad: Bar, rule: str, good: Candles, data: st.DataObject
) -> None:
    """One bad bar among good ones is refused by row, time, value and rule."""
    bars = list(good.bars())
    row = data.draw(st.integers(0, len(bars) - 1))
    bars[row] = bad._replace(open_time=bars[row].open_time)
    with pytest.raises(UserError) as caught:
        Candles.of("BTC", MINUTE, bars)
    message = str(caught.value)
    assert f"row {row + 1} of {len(bars)} ({utc(bars[row].open_time)})" in message
    assert rule in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("times", "rule"),
    [
        ([0, 60_000, 60_000, 120_000], r"row 3 of 4 .*duplicate"),
        ([0, 120_000, 60_000, 180_000], r"row 3 of 4 .*not sorted"),
        ([0, 60_000, 150_000, 180_000], r"row 3 of 4 .*not aligned to 1m"),
        ([1, 10**18], r"row 1 of 2 .*not aligned to 1m"),
        ([0, 10**18 + 1], r"row 2 of 2 \(1000000000000000001 ms\).*not aligned to 1m"),
        ([], "no rows"),
    ],
)
def test_bad_times_are_named(times: list[int], rule: str) -> None:
    """Duplicate, unsorted and off-grid times, absurd ones too, and no rows at all are refused."""
    with pytest.raises(UserError, match=rule):
        Candles.of("BTC", MINUTE, [GOOD._replace(open_time=time) for time in times])


@given(st.sampled_from(TIMEFRAMES), st.sets(st.integers(0, 300), min_size=1, max_size=40))
def test_timeframe_is_inferred_through_gaps(timeframe: Timeframe, absent: set[int]) -> None:
    """However bars are missing, the timeframe of the rest is found while neighbours are common."""
    kept = [index for index in range(301) if index not in absent]
    times = timeframe.floor(START) + np.array(kept, dtype=np.int64) * timeframe.ms
    assert infer_timeframe(times) == timeframe
    assert infer_timeframe(times[::-1]) == timeframe


def test_times_that_fit_no_timeframe_are_refused() -> None:
    """Steps of a second and equal times are no candles; the error says so."""
    with pytest.raises(UserError, match="steps of 1000 ms fit no known timeframe"):
        infer_timeframe(np.arange(5, dtype=np.int64) * 1000)
    with pytest.raises(UserError, match="two candles with different times"):
        infer_timeframe(np.array([START, START]))
