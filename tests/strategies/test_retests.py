"""Gap fills and order block retests on bars worked by hand, for every rule of an idea's life."""

import pytest

from fractaltrader.market import Bar, Timeframe
from fractaltrader.strategies import Signal, load_strategy

M15 = Timeframe.parse("15m")

# Small windows, so that a story fits on a page; no higher timeframe.
SMALL = {
    "left": 2, "right": 1, "atr_bars": 2, "baseline_bars": 10, "volume_bars": 5,
    "bias_timeframe": "off", "min_stop_atr": 0, "stop_buffer_atr": 0, "min_rr": 2,
    "fvg_min_atr": 0, "displacement_atr": 0.5,
}  # fmt: skip

Ohlc = tuple[float, float, float, float]

# A swing high of 130 to aim at (bar 11), a low (18), a high of 112 (20) that bar 23 breaks upward:
# structure turns bullish. Bars 22…24 leave a bullish gap, 110 (high of 22) to 114 (low of 24).
STORY: list[Ohlc] = [
    *[(100, 101, 99, 100)] * 10,
    (100, 120, 100, 119), (119, 130, 118, 120), (120, 121, 112, 113), (113, 114, 108, 109),
    (109, 110, 104, 105), (105, 106, 102, 103), (103, 104, 101, 102), (102, 103, 100, 101),
    (101, 104, 98, 103), (103, 109, 102, 108), (108, 112, 106, 107), (107, 108, 104, 105),
    (105, 110, 104, 109), (109, 118, 108, 117), (117, 119, 114, 118),
]  # fmt: skip


def bars(*more: Ohlc) -> list[Bar]:
    return [
        Bar(i * M15.ms, *(float(price) for price in prices), 1.0)
        for i, prices in enumerate([*STORY, *more])
    ]


def mirrored(rows: list[Bar]) -> list[Bar]:
    return [
        Bar(b.open_time, 300 - b.open, 300 - b.low, 300 - b.high, 300 - b.close, b.volume)
        for b in rows
    ]


def run(name: str, rows: list[Bar], **params: object) -> dict[int, Signal]:
    session = load_strategy(name, {**SMALL, **params}).session("BTC")
    return {i: s for i, bar in enumerate(rows) if (s := session.on_bar(bar))}


# ---------------------------------------------------------------- gaps

BACK_OUT: Ohlc = (118, 119, 111.5, 115)  # into the gap's lower half, and out again
WAIT: Ohlc = (118, 119, 116, 118)


@pytest.mark.parametrize("upside_down", [False, True])
def test_gap_reached_and_left_is_a_trade(upside_down: bool) -> None:
    """A bar that reaches the gap's middle and closes above it is a long at that close; mirrored,
    a short; the stop lies below gap and bar, the target at the untouched swing high."""
    rows = bars(WAIT, BACK_OUT)
    found = run("fvg_fill", mirrored(rows) if upside_down else rows)
    assert list(found) == [26]
    signal = found[26]
    levels = (signal.entry, signal.stop, signal.target)
    if upside_down:
        assert signal.side == -1
        levels = tuple(300 - price for price in levels)
    else:
        assert signal.side == 1
    assert levels == (115, 110, 130)
    assert signal.facts[0].startswith("bearish gap" if upside_down else "bullish gap 110 … 114")


def test_gap_waits_for_the_depth_it_is_told() -> None:
    """A touch of the near edge is nothing at half depth, and a trade at depth=touch; a full fill
    is asked for at depth=full."""
    touch: Ohlc = (118, 119, 113.5, 115)
    full: Ohlc = (118, 119, 110, 115)
    assert run("fvg_fill", bars(touch)) == {}
    assert list(run("fvg_fill", bars(touch), depth="touch")) == [25]
    assert run("fvg_fill", bars(BACK_OUT), depth="full") == {}
    assert list(run("fvg_fill", bars(full), depth="full")) == [25]


def test_gap_idea_expires() -> None:
    """A close back out comes in time on the third bar and too late on the fourth; an untouched gap
    is forgotten after `expiry_bars`."""
    inside: Ohlc = (115, 115, 112, 113)
    out: Ohlc = (113, 117, 112, 116)
    assert list(run("fvg_fill", bars(inside, inside, out))) == [27]
    assert run("fvg_fill", bars(inside, inside, inside, out)) == {}
    assert list(run("fvg_fill", bars(inside, inside, inside, out), confirm_bars=4)) == [28]
    assert run("fvg_fill", bars(WAIT, WAIT, WAIT, BACK_OUT), expiry_bars=3) == {}
    assert list(run("fvg_fill", bars(WAIT, WAIT, WAIT, BACK_OUT), expiry_bars=4)) == [28]


def test_gap_idea_is_invalidated_by_a_close_through_it() -> None:
    """A close below the gap ends the idea, though a later bar closes above it in time."""
    through: Ohlc = (118, 119, 109, 109.5)
    back: Ohlc = (110, 118, 109.6, 117)
    assert run("fvg_fill", bars(through, back)) == {}
    wick: Ohlc = (118, 119, 109, 111)
    found = run("fvg_fill", bars(wick, back), min_rr=1)
    assert list(found) == [26]
    assert found[26].stop == 109, "the stop lies beyond every price since the gap was reached"


def test_gap_must_agree_with_structure() -> None:
    """After structure broke downward a bullish gap is no long, unless the parameter says so."""
    # A swing low at 114.5 (bar 27), a push up, then a close of 113.5 below it, inside the gap.
    story: list[Ohlc] = [
        WAIT, WAIT, (118, 118, 114.5, 115), (115, 121, 115, 120), (120, 120, 119, 119),
        (119, 119, 113, 113.5), (113.5, 119, 113, 118),
    ]  # fmt: skip
    free = run("fvg_fill", bars(*story), with_structure=False, depth="touch", min_rr=0.1)
    held = run("fvg_fill", bars(*story), depth="touch", min_rr=0.1)
    assert free[31].factors[0] == ("structure", 0.0)
    assert 31 not in held


def test_too_little_reward_is_no_signal() -> None:
    """The target of 130 pays three times the risk of 5: a minimum of 3 takes it, 3.01 does not."""
    assert list(run("fvg_fill", bars(BACK_OUT), min_rr=3)) == [25]
    assert run("fvg_fill", bars(BACK_OUT), min_rr=3.01) == {}


def test_near_stops_are_moved_away() -> None:
    """The stop keeps its least distance and its buffer, both in ATR."""
    (near,) = run("fvg_fill", bars(BACK_OUT), stop_buffer_atr=0.5, min_rr=1).values()
    assert near.stop == pytest.approx(110 - 0.5 * near.atr)
    (far,) = run("fvg_fill", bars(BACK_OUT), min_stop_atr=2, min_rr=1).values()
    assert far.entry - far.stop == pytest.approx(2 * far.atr)


# ---------------------------------------------------------------- order blocks

# Bar 23 broke the high of bar 20 (112); the block of that leg is bar 22, 104 … 110: the last of the
# two lows of 104.
TO_BLOCK: list[Ohlc] = [(118, 118, 112, 113), (113, 114, 109, 111)]


@pytest.mark.parametrize("upside_down", [False, True])
def test_block_retested_and_left_is_a_trade(upside_down: bool) -> None:
    """Price comes back to the block and closes above it: long, stop below the block; mirrored."""
    rows = bars(*TO_BLOCK)
    found = run("bos_orderblock", mirrored(rows) if upside_down else rows)
    assert list(found) == [26]
    signal = found[26]
    levels = (signal.entry, signal.stop, signal.target)
    if upside_down:
        levels = tuple(300 - price for price in levels)
    assert signal.side == (-1 if upside_down else 1)
    assert levels == (111, 104, 130)
    assert "3 bars ago, with displacement" in signal.facts[0]


def test_block_is_traded_at_its_first_retest_only() -> None:
    """A second visit to the same block says nothing."""
    rows = bars(*TO_BLOCK, (111, 118, 111, 117), (117, 117, 112, 113), (113, 114, 109, 111))
    assert list(run("bos_orderblock", rows)) == [26]


def test_block_must_hold() -> None:
    """A close below the block, an age beyond `expiry_bars` or a depth not reached: no trade."""
    lost = bars((118, 118, 112, 113), (113, 114, 103, 103.5), (103.5, 113, 103.5, 112))
    assert run("bos_orderblock", lost) == {}
    assert run("bos_orderblock", bars(*TO_BLOCK), expiry_bars=2) == {}
    assert list(run("bos_orderblock", bars(*TO_BLOCK), expiry_bars=3)) == [26]
    assert run("bos_orderblock", bars(*TO_BLOCK), depth="mitigated") == {}
    deep = bars((118, 118, 112, 113), (113, 114, 107, 111))
    assert list(run("bos_orderblock", deep, depth="mitigated")) == [26]


def test_breaks_without_force_or_of_the_other_kind_leave_nothing() -> None:
    """Displacement and the kind of the break are asked for, and can be waived."""
    calm = {"displacement_atr": 20}
    assert run("bos_orderblock", bars(*TO_BLOCK), **calm) == {}
    waived = run("bos_orderblock", bars(*TO_BLOCK), require_displacement=False, **calm)
    assert "without displacement" in waived[26].facts[0]
    assert dict(waived[26].factors)["displacement"] == 0
    by_kind = {
        kind: list(run("bos_orderblock", bars(*TO_BLOCK), breaks=kind)) for kind in ("bos", "choch")
    }
    (kind,) = (name for name, found in by_kind.items() if found)
    cause = {"bos": "break of structure", "choch": "change of character"}[kind]
    assert run("bos_orderblock", bars(*TO_BLOCK))[26].facts[0].startswith(cause)
