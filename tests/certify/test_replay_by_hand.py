"""The replay on targets so small that every figure can be counted by hand."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fractaltrader.certify import Lag, Offence, Plan, certify_readings
from fractaltrader.certify.readings import Readings, as_readings
from fractaltrader.errors import UserError
from fractaltrader.market import Bar, Candles, Timeframe

M15 = Timeframe.parse("15m")


def rising(bars: int) -> Candles:
    """Closes 1, 2, 3, …"""
    return Candles.of(
        "BTC", M15, [Bar(i * M15.ms, i + 1, i + 1, i + 1, i + 1, 1) for i in range(bars)]
    )


def marked(bars: int, rows: list[int]) -> Readings:
    column = np.full(bars, np.nan)
    column[rows] = 1.0
    return {"mark": column}


def test_a_newest_bar_that_is_always_marked() -> None:
    """Each prefix takes the last one's mark back: every step rewrites once and erases one."""
    found = certify_readings(
        "t", lambda c: marked(len(c), [len(c) - 1]), rising(10), plan=Plan(5, 4)
    )
    (column,) = found.columns
    assert not found.certified
    assert (column.rewritten, column.backfilled, column.shown, column.erased) == (3, 0, 3, 3)
    assert column.lag == Lag(0.0, 0.0, 0)
    assert found.first_offences == [
        Offence("mark", bar, bar * M15.ms, bar + 2, "1", "-") for bar in (4, 5, 6)
    ]


def test_words_are_readings_too() -> None:
    """The newest two bars have words; each step changes one of them and takes the other back."""
    found = certify_readings(
        "t",
        lambda c: as_readings({"word": [None] * (len(c) - 2) + ["down", "up"]}, len(c), "t"),
        rising(10),
        plan=Plan(5, 4),
    )
    (column,) = found.columns
    assert not found.certified
    assert (column.shown, column.erased) == (6, 6)
    changes = {(offence.before, offence.after) for offence in found.first_offences}
    assert changes == {("up", "down"), ("down", "-")}


def test_a_mark_written_two_bars_back() -> None:
    """A fact put into an earlier bar's row is a rewrite with its lag, though none is erased."""
    found = certify_readings(
        "t",
        lambda c: marked(len(c), list(range(0, len(c) - 2, 3))),
        rising(20),
        plan=Plan(6, 10),
    )
    (column,) = found.columns
    # Prefixes of 6 to 15 bars; marks at 0, 3, 6, … appear with two more bars; 0 and 3 were there.
    assert (column.rewritten, column.backfilled, column.shown, column.erased) == (3, 3, 3, 0)
    assert column.lag == Lag(2.0, 2.0, 2)


def test_a_causal_target_is_certified() -> None:
    """The running maximum of the closes never changes a reading."""
    found = certify_readings(
        "t", lambda c: {"max": np.maximum.accumulate(c.close)}, rising(30), plan=Plan(1, 30),
    )  # fmt: skip
    (column,) = found.columns
    assert found.certified
    assert (column.rewritten, column.shown, column.erased) == (0, 29, 0)


def test_a_live_answer_that_differs_from_the_full_run() -> None:
    """What was told bar by bar is held against the full run, and a difference fails."""

    def live(candles: Candles) -> Readings:
        told = candles.close.copy()
        told[3] = 99.0
        return {"close": told}

    found = certify_readings(
        "t", lambda c: {"close": c.close}, rising(9), live=live, plan=Plan(4, 3)
    )
    assert not found.certified
    assert found.first_offences == [Offence("close", 3, 3 * M15.ms, 9, "99", "4")]


def test_a_larger_step_sees_fewer_prefixes() -> None:
    """With every third prefix only what these show can be found: a third of the marks."""
    found = certify_readings(
        "t", lambda c: marked(len(c), [len(c) - 1]), rising(12), plan=Plan(5, 3, 3)
    )
    (column,) = found.columns
    assert (found.prefixes, found.every) == (3, 3)
    assert (column.rewritten, column.shown, column.erased) == (2, 2, 2)
    assert [(one.bar, one.prefix) for one in found.first_offences] == [(4, 8), (7, 11)]


@settings(max_examples=60, deadline=None)
@given(delay=st.integers(0, 4), keeps=st.booleans(), prefixes=st.integers(2, 12))
def test_certified_exactly_when_nothing_is_late_or_taken_back(
    delay: int, keeps: bool, prefixes: int
) -> None:
    """A target that marks a bar `delay` bars late, or forgets old marks, is caught; no other."""
    found = certify_readings(
        "t",
        lambda c: marked(len(c), [r for r in range(len(c) - delay) if keeps or r >= len(c) - 8]),
        rising(40),
        plan=Plan(15, prefixes),
    )
    assert found.certified == (delay == 0 and keeps)
    (column,) = found.columns
    assert column.shown == prefixes - 1
    assert column.lag == Lag(float(delay), float(delay), delay)


@pytest.mark.parametrize(
    ("first", "prefixes", "words"),
    [(0, 5, "at least 1 bar"), (5, 1, "at least 2"), (8, 5, "need 12 candles")],
)
def test_a_range_the_candles_do_not_hold(first: int, prefixes: int, words: str) -> None:
    """The error says what is asked for, what there is, and what to do."""
    with pytest.raises(UserError, match=words):
        certify_readings("t", lambda c: {"c": c.close}, rising(9), plan=Plan(first, prefixes))


def test_prefixes_a_bar_or_more_apart() -> None:
    """Prefixes that do not grow could not be compared."""
    with pytest.raises(UserError, match="every: 0 must be at least 1 bar"):
        certify_readings("t", lambda c: {"c": c.close}, rising(9), plan=Plan(3, 3, 0))


class Answer(NamedTuple):
    fast: list[float]
    slow: list[float]


@dataclass
class Record:
    value: list[float]
    window: int = 14


def test_columns_that_come_and_go() -> None:
    """A target whose columns depend on the bars cannot be compared, and is refused."""
    with pytest.raises(UserError, match="the same columns"):
        certify_readings("t", lambda c: {f"c{len(c) > 6}": c.close}, rising(9), plan=Plan(3, 3))


def test_every_shape_of_answer_is_read() -> None:
    """Frames, series, arrays and dicts give the same columns; a False or None is nothing."""
    flags, words = [True, False, True], ["up", None, ""]
    frame = pd.DataFrame({"flag": flags, "word": words}, index=[7, 8, 9])
    columns = as_readings(frame, 3, "t")
    np.testing.assert_array_equal(columns["flag"], [1.0, np.nan, 1.0])
    assert columns["word"].tolist() == ["up", "", ""]
    assert as_readings(dict(frame), 3, "t")["word"].tolist() == ["up", "", ""]
    assert list(as_readings(pd.Series([1, 2, 3], name="n"), 3, "t")) == ["n"]
    assert list(as_readings(np.zeros(3), 3, "t")) == ["value"]
    assert list(as_readings(Answer([1, 2, 3], [4, 5, 6]), 3, "t")) == ["fast", "slow"]
    assert list(as_readings(Record([1, 2, 3]), 3, "t")) == ["value"]  # the window is no reading
    times = as_readings(pd.Series(pd.to_datetime([5, None, 7])), 3, "t")["value"]
    assert np.isnan(times).tolist() == [False, True, False]


@pytest.mark.parametrize("answer", [None, 3.5, {}, {"a": [1.0, 2.0]}, np.zeros((3, 2))])
def test_an_answer_without_one_reading_a_bar(answer: object) -> None:
    """Anything but one reading a bar is a user error, whatever it is."""
    with pytest.raises(UserError, match="one reading"):
        as_readings(answer, 3, "t")
