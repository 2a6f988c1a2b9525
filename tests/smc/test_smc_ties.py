"""Tie rules and boundaries of docs/smc.md that the other hand-worked cases leave open."""

import pytest
from markets import events_of, mirrored, ohlc, told

from fractaltrader.market import Bar
from fractaltrader.smc import EngineParameters, EventKind

CALM = (100, 101, 99, 100)


def either_way(bars: list[Bar], upside_down: bool) -> tuple[list[Bar], int]:
    """The bars, or their mirror image, and the side that plays the highs' part in them."""
    return (mirrored(bars), -1) if upside_down else (bars, 1)


def test_both_swings_of_one_bar_are_told_high_first() -> None:
    """An outside bar is a swing on both sides: high, then low, at the same bar."""
    found = told(ohlc(CALM, (100, 105, 95, 100), CALM), "SWING")
    assert [e[1:5] for e in found] == [(1, 1, 2, 105), (-1, 1, 2, 95)]


@pytest.mark.parametrize("upside_down", [False, True])
@pytest.mark.parametrize(
    ("highs", "found"),
    [
        ((103, 105, 104, 104, 103), [1]),
        ((105, 104, 104, 103, 103), [0]),  # no look to the left: the first bar may be one
        ((105, 105, 104, 104, 103), [1]),
        ((103, 105, 105, 104, 103), [2]),  # equal later highs do not count as beaten
        ((103, 105, 104, 105, 103), []),
    ],
)
def test_leg_flip_is_strict_on_its_only_side(
    highs: tuple, found: list[int], upside_down: bool
) -> None:
    """A pivot is strictly beyond the `right` bars after it, and needs none before it."""
    bars, side = either_way(ohlc(*((99, h, 98 - i, 99) for i, h in enumerate(highs))), upside_down)
    params = EngineParameters(detector="leg_flip", right=2)
    assert [e.at for e in events_of(bars, params) if e.kind == 1 and e.side == side] == found


def test_candidates_restart_at_a_confirmed_opposite_swing() -> None:
    """A tentative high is each new highest high since the last low was confirmed; ties are none."""
    bars = ohlc(CALM, (100, 103, 100, 102), (102, 103, 97, 98), (98, 102, 98, 101), CALM)
    found = told(bars, "CANDIDATE", side=1, candidates=True)
    # The low of bar 2 is confirmed by bar 3, whose lower high is then the highest.
    assert [e[2:5] for e in found] == [(0, 0, 101), (1, 1, 103), (3, 3, 102)]


@pytest.mark.parametrize("upside_down", [False, True])
def test_a_newer_swing_is_the_level_to_break(upside_down: bool) -> None:
    """The last confirmed swing replaces the one before, also a nearer one; that never breaks."""
    bars, side = either_way(
        ohlc(
            CALM, (100, 110, 100, 104), CALM, (100, 106, 100, 104), CALM,
            (100, 108, 100, 107), (107, 112, 106, 111),
        ),
        upside_down,
    )  # fmt: skip
    found = [e for e in events_of(bars) if e.kind in (EventKind.BOS, EventKind.CHOCH)]
    assert [(e.side, e.known, e.origin) for e in found] == [(side, 5, 3)]


def test_one_bar_may_break_both_sides() -> None:
    """By wick an outside bar breaks high and low: upward first, so the downward is the CHoCH."""
    bars = ohlc(CALM, (100, 105, 95, 100), CALM, (100, 106, 94, 100))
    found = told(bars, "BOS", "CHOCH", trigger="wick")
    assert [e[:5] for e in found] == [("BOS", 1, 3, 3, 105), ("CHOCH", -1, 3, 3, 95)]


@pytest.mark.parametrize("upside_down", [False, True])
def test_origin_of_a_break_that_is_confirmed_after_it(upside_down: bool) -> None:
    """With bos_origin the level is the last swing before the break though the break came first;
    a swing after the break is not, and a level that was broken never is again."""
    bars, side = either_way(
        ohlc(
            (95, 96, 94, 95),
            (95, 96, 90, 95),  # a low of 90, which no break passes
            (95, 101, 94, 100),
            CALM,
            (100, 104, 100, 103),
            (103, 103, 98, 99),
            (99, 100, 95, 96),  # tells the high of 104; this low of 95 is told by bar 8
            (96, 106, 96, 105),  # closes above 104: BOS; its origin is not confirmed yet
            (105, 107, 104, 106),
            (106, 107, 101, 102),  # a higher low: 101
            (102, 106, 102, 105),
            (105, 106, 103, 105),
            (105, 105, 96, 97),  # below 101: no reversal
            (97, 98, 94, 94.5),  # below 95: CHoCH
            (94.5, 96, 90, 91),  # further, without a new swing: nothing more
        ),
        upside_down,
    )  # fmt: skip
    events = events_of(bars, right=2, which_pivot="bos_origin")
    found = [e for e in events if e.kind in (EventKind.BOS, EventKind.CHOCH)]
    assert [(e.kind.name, e.side, e.known, e.origin) for e in found] == [
        ("BOS", side, 7, 4), ("CHOCH", -side, 13, 6),
    ]  # fmt: skip
    last = told(bars, "CHOCH", right=2)
    assert [(e[3], e[4]) for e in last] == [(12, 101 if side > 0 else 99)]


def test_a_passed_swing_is_no_origin() -> None:
    """With bos_origin a swing that a break has passed is not the level again when price turns."""
    bars = ohlc(
        CALM, (100, 102, 96, 101), (101, 105, 98, 104), (104, 104, 98, 99), (99, 100, 97, 98),
        (98, 99, 94, 95),  # below 96: the first break
        (95, 106, 95, 105.5),  # above 105: CHoCH up; the low of 94 is told by bar 8
        (105.5, 107, 95.5, 95.6),  # below 96 again: it was passed before
        (95.6, 96, 95, 95.5),
        (95.5, 96, 93, 93.5),  # below 94
    )  # fmt: skip
    found = told(bars, "BOS", "CHOCH", right=3, which_pivot="bos_origin")
    assert [e[:2] + e[3:5] for e in found] == [
        ("BOS", -1, 5, 96), ("CHOCH", 1, 6, 105), ("CHOCH", -1, 9, 94),
    ]  # fmt: skip


def test_a_strong_swing_is_never_weak() -> None:
    """A swing whose leg broke structure stays strong when it is broken itself."""
    bars = ohlc(
        CALM, (100, 105, 100, 104), (104, 104, 97, 98), (98, 106, 98, 105.5),
        (105.5, 107, 105, 106), (106, 106, 100, 101), (101, 101, 95, 96),
    )  # fmt: skip
    found = told(bars, "STRONG", "WEAK", strength=True)
    # The low of 97 is strong at the break of 105; the break of 97 makes the high of 107 strong.
    assert [e[:5] for e in found] == [
        ("STRONG", -1, 2, 3, 97), ("WEAK", 1, 1, 3, 105), ("STRONG", 1, 4, 6, 107),
    ]  # fmt: skip


# Down through 97 at bar 7; the leg back up starts at the low of bar 7 and breaks 103 at bar 11.
SHIFT = (
    (101, 102, 99, 101), (101, 105, 101, 104), (104, 104, 98, 99), (99, 100, 98.5, 99.5),
    (99.5, 101, 97, 98), (98, 103, 98, 102), (102, 102.5, 100, 101), (101, 101.5, 95, 96),
)  # fmt: skip


@pytest.mark.parametrize(
    ("leg", "known"),
    [
        # Displaced on the way (bar 9), not at the break.
        (((96, 97, 96, 97), (97, 102, 97, 102), (102, 102.9, 101, 102.5), (102.5, 104, 102, 104)),
         [11]),
        # No large body on the way; those of bars 1 to 5 lie before the leg.
        (((96, 98, 96, 97), (97, 99.5, 97, 98.5), (98.5, 101, 97.5, 100.5),
          (100.5, 103.2, 99.8, 103.1)), []),
    ],
)  # fmt: skip
def test_a_shift_needs_its_displacement_within_the_leg(leg: tuple, known: list[int]) -> None:
    """A large body in the reversal's leg makes an MSS at the CHoCH; one before it does not."""
    bars = ohlc(*SHIFT, *leg)
    assert [e[3] for e in told(bars, "CHOCH", side=1)] == [11]
    assert [e[3] for e in told(bars, "MSS", displacement_atr=1.0)] == known
    before = told(bars, "DISPLACEMENT", side=1, displacement_atr=1.0)
    assert any(e[3] < 7 for e in before), "a displacement before the leg"


# Gaps of 101…103 and 103…103.5, united by bar 3.
UNITED = (CALM, (100, 103, 100.5, 103), (103, 105, 103, 105), (105, 107, 103.5, 107))


@pytest.mark.parametrize("upside_down", [False, True])
@pytest.mark.parametrize(
    ("after", "merged"),
    [
        # 105…106 does not reach down to 103.5.
        (((107, 107, 104, 105), (105, 105, 104, 105), (105, 107, 105, 107), (107, 109, 106, 109)),
         []),
        # The nearer gap is filled, the farther is not: 103.2…104.5 joins them.
        (((107, 107, 103, 103.1), (103.1, 103.2, 103, 103.2), (103.2, 107, 103.2, 107),
          (107, 108, 104.5, 108)), [(7, 3, 101, 104.5)]),
        # All is filled: the same gap stands alone.
        (((107, 107, 101, 101.5), (103.1, 103.2, 103, 103.2), (103.2, 107, 103.2, 107),
          (107, 108, 104.5, 108)), []),
    ],
)  # fmt: skip
def test_united_gaps_are_one_until_filled(after: tuple, merged: list, upside_down: bool) -> None:
    """United gaps are one open gap until price reaches its far edge; a new gap then is alone."""
    bars, side = either_way(ohlc(*UNITED, *after), upside_down)
    events = [e for e in events_of(bars) if e.kind.name in ("FVG", "FVG_MERGED")]
    found = [
        (e.known, e.members, *sorted(100 + side * (price - 100) for price in (e.low, e.high)))
        for e in events
        if e.kind is EventKind.FVG_MERGED
    ]
    assert [one[:2] for one in found] == [(3, 2), *(one[:2] for one in merged)]
    assert [one[2:] for one in found] == [
        pytest.approx(one) for one in ((101, 103.5), *(one[2:] for one in merged))
    ]
    assert (events[-2 if merged else -1].kind, events[-1].known) == (EventKind.FVG, 7)


@pytest.mark.parametrize("upside_down", [False, True])
@pytest.mark.parametrize(
    ("peaks", "atr_bars", "pools"),
    [
        ((110, 109.5), 2, [(2, 110, 1)]),
        ((110, 109), 2, [(2, 110, 1)]),  # at the tolerance
        ((110, 108.9), 2, []),
        ((110, 110.5), 2, []),  # beyond the level: that sweeps it
        ((110, 109, 109.5), 2, [(2, 110, 1), (3, 110, 3)]),  # a pool takes a third in
        # With no ATR until bar 5 the first two stay apart.
        ((110, 110, 110), 6, [(2, 110, 3)]),  # equally near to both: joins the newest
        ((110, 109.5, 109.2), 6, [(2, 109.5, 3)]),  # joins the nearest
    ],
)
def test_equal_swings_make_pools(
    peaks: tuple, atr_bars: int, pools: list, upside_down: bool
) -> None:
    """A swing joins the nearest untouched level within the tolerance, the newest on a tie."""
    # Every bar spans 10, so that a tenth of the ATR is 1.
    bars = [(100, 105, 95, 100)]
    for peak in peaks:
        bars += [(100, peak, peak - 10, 100), (100, 105, 95, 100)]
    market, side = either_way(ohlc(*bars), upside_down)
    events = events_of(market, atr_bars=atr_bars)
    found = [e for e in events if e.kind is EventKind.POOL and e.side == side]
    assert [(e.members, 100 + side * (e.level - 100), events[e.ref].at) for e in found] == pools


def test_a_swept_level_takes_no_equal_in() -> None:
    """Once a level is penetrated a later equal swing is a level of its own, not a pool."""
    bars = ohlc(
        (100, 105, 95, 100), (100, 110, 100, 105), (105, 106, 96, 100), (100, 110.5, 100.5, 105),
        (105, 106, 96, 100), (100, 110, 100, 105), (100, 105, 95, 100),
    )  # fmt: skip
    events = events_of(bars)
    assert [e.known for e in events if e.kind is EventKind.SWEEP and e.side == 1] == [3]
    pools = [e for e in events if e.kind is EventKind.POOL and e.side == 1]
    assert [(e.at, e.origin, events[e.ref].at, e.members) for e in pools] == [(5, 5, 3, 2)]


def test_a_penetration_of_several_levels_ends_each() -> None:
    """Each level that a bar passes ends on its own, by its own bars to reclaim."""
    bars = ohlc(
        CALM, (100, 110, 100, 105), CALM, (100, 107, 100, 105), CALM,
        (100, 108, 100, 107.5), (107, 111, 106, 108), (108, 109, 105, 106),
    )  # fmt: skip
    found = told(bars, "SWEEP", "TAKEN", side=1, equal_atr=0)
    # 107 is penetrated by bar 5 and reclaimed by bar 7; 110 by bar 6, which closes below it.
    assert [e[:5] for e in found] == [("SWEEP", 1, 6, 6, 110), ("SWEEP", 1, 5, 7, 107)]


def test_retracements_of_a_leg_down() -> None:
    """Marks of a leg down are told by highs, from its low upward, as those of a leg up by lows."""
    leg = (
        (120, 130, 110, 120), (120, 125, 100, 120), (120, 160, 110, 150), (150, 200, 140, 190),
        (190, 195, 180, 185),
    )  # fmt: skip
    after = ((185, 190, 161.7, 170), (170, 190, 100, 170))
    bars = mirrored(ohlc(*leg, *after))
    found = told(bars, "RETRACED", side=-1, retracements=True, tie="strict")
    assert [e[3] for e in found] == [5, 6, 6, 6, 6]
    levels = [38.2, 50, 61.8, 79, 100]
    assert [e[4] for e in found] == pytest.approx(levels)


@pytest.mark.parametrize("upside_down", [False, True])
@pytest.mark.parametrize("confirm", ["structure_break", "displacement", "either"])
def test_what_makes_a_block(confirm: str, upside_down: bool) -> None:
    """A break by a large body gives a block of the break, of the body, or both in that order."""
    bars, side = either_way(
        ohlc(CALM, (100, 105, 100, 104), (104, 104, 98, 99), (99, 107, 99, 106.5)), upside_down
    )
    events = events_of(bars, confirm=confirm, candle_select="last_opposite", displacement_atr=1.0)
    blocks = [e for e in events if e.kind is EventKind.OB and e.known == 3]
    causes = {
        "structure_break": ["BOS"], "displacement": ["DISPLACEMENT"],
        "either": ["BOS", "DISPLACEMENT"],
    }[confirm]  # fmt: skip
    assert [events[e.ref].kind.name for e in blocks] == causes
    assert all((e.side, e.at) == (side, 2) for e in blocks)


def test_last_opposite_needs_an_opposite_close() -> None:
    """A leg without a candle of the other colour, a doji included, leaves a break and no block."""
    bars = ohlc(
        CALM, (100, 105, 100, 104), (99, 104, 98, 99), (99, 104.5, 99, 104), (104, 107, 104, 106)
    )
    found = told(bars, "BOS", "OB", candle_select="last_opposite")
    assert [e[0] for e in found] == ["BOS"]


def test_an_expiring_block_leaves_the_union_of_gaps() -> None:
    """A block that makes room takes no open gaps with it, though its far edge is theirs."""
    bars = ohlc(
        (102, 103, 101.5, 102), (102, 106, 102, 105), (105, 105, 101, 102),
        (102, 108, 102, 107),  # BOS: a block of 101…105
        (101, 101, 100, 101), (101, 103, 100.5, 103),
        (103, 103.4, 103, 103.4),  # a gap of 101…103
        (103.5, 107, 103.5, 107),  # 103…103.5 adjoins it, and the block makes room
        (107, 107.9, 104, 107.5),  # 103.4…104 adjoins both
    )  # fmt: skip
    events = events_of(bars, max_zones=2)
    first = next(e for e in events if e.kind is EventKind.EXPIRED)
    assert (events[first.ref].kind, first.known, first.low) == (EventKind.OB, 7, 101)
    merged = [e for e in events if e.kind is EventKind.FVG_MERGED]
    assert [(e.known, e.members, e.low, e.high) for e in merged] == [
        (7, 2, 101, 103.5), (8, 3, 101, 104),
    ]  # fmt: skip
