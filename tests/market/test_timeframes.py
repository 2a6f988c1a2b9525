"""Timeframes: names, lengths and where bars open."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fractaltrader.errors import UserError
from fractaltrader.market import Timeframe
from fractaltrader.market.timeframe import DAY_MS, TIMEFRAMES

TIMES = st.integers(0, 4_102_444_800_000)


@given(st.sampled_from(TIMEFRAMES), TIMES)
def test_floor_is_the_bar_that_contains_the_time(timeframe: Timeframe, time_ms: int) -> None:
    """A bar opens at or before every time in it, closes at or after, and opens at its own floor."""
    start = timeframe.floor(time_ms)
    assert start <= time_ms <= timeframe.close_time(start) == start + timeframe.ms - 1
    assert timeframe.floor(start) == start == timeframe.floor(timeframe.close_time(start))
    assert timeframe.floor(start - 1) == start - timeframe.ms


@given(TIMES)
def test_days_open_at_midnight_and_weeks_on_monday(time_ms: int) -> None:
    """Daily bars open at 00:00 UTC and weekly bars on a Monday, as the calendar has them."""
    day = datetime.fromtimestamp(Timeframe.parse("1d").floor(time_ms) / 1000, UTC)
    assert day.date() == datetime.fromtimestamp(time_ms / 1000, UTC).date()
    assert (day.hour, day.minute, day.second, day.microsecond) == (0, 0, 0, 0)
    week = Timeframe.parse("1w").floor(time_ms)
    assert datetime.fromtimestamp(week / 1000, UTC).weekday() == 0
    assert week % DAY_MS == 0


def test_names_and_lengths_are_each_others_inverse() -> None:
    """Parsing a name and looking up its length give the same timeframe; unknown ones are named."""
    for timeframe in TIMEFRAMES:
        assert Timeframe.parse(str(timeframe)) == timeframe == Timeframe.of_length(timeframe.ms)
    with pytest.raises(UserError, match="'7m' is not one of 1m, 3m"):
        Timeframe.parse("7m")
    with pytest.raises(UserError, match="no interval lasts 420000 ms"):
        Timeframe.of_length(420_000)
