"""Fair value gaps, displacement and market structure shifts, worked by hand."""

import pytest
from markets import events_of, mirrored, ohlc, told

FLAT = (100.0, 101.0, 99.0, 100.0)
# Bar 0 tops at 101, bar 1 thrusts, bar 2 stays above 101: a gap of 101…103, middle 102.
GAP = (FLAT, (100, 105, 100, 104), (104, 106, 103, 105))
LIFE = ("FVG_TOUCHED", "FVG_HALF", "FVG_FILLED", "FVG_INVERSE")


def test_gap_is_between_bars_that_do_not_overlap() -> None:
    """low[t] > high[t-2] makes a gap, told of the middle bar when bar t closes; equality none."""
    assert told(ohlc(*GAP), "FVG") == [("FVG", 1, 1, 2, 103, 101, 103)]
    assert told(mirrored(ohlc(*GAP)), "FVG") == [("FVG", -1, 1, 2, 97, 97, 99)]
    assert told(ohlc(*GAP[:2], (104, 106, 101, 105)), "FVG") == []


@pytest.mark.parametrize("upside_down", [False, True])
@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ([(105, 106, 103.1, 105)], []),
        ([(105, 106, 103, 105)], ["FVG_TOUCHED"]),  # at the near edge
        ([(105, 106, 102, 105)], ["FVG_TOUCHED", "FVG_HALF"]),  # at the middle
        ([(105, 106, 101, 105)], ["FVG_TOUCHED", "FVG_HALF", "FVG_FILLED"]),  # at the far edge
        ([(105, 106, 100, 101)], ["FVG_TOUCHED", "FVG_HALF", "FVG_FILLED"]),  # closes at it
        ([(105, 106, 100, 100.9)], [*LIFE]),
        ([(105, 106, 102.5, 105), (105, 106, 100, 103), (103, 103, 99, 100)], [*LIFE]),
    ],
)
def test_life_of_a_gap(after: list, expected: list[str], upside_down: bool) -> None:
    """Touched, half and filled by the first wick that reaches; inverse by a close beyond."""
    bars = ohlc(*GAP, *after)
    bars = mirrored(bars) if upside_down else bars
    side = -1 if upside_down else 1
    events = [e for e in events_of(bars) if e.kind.name in (*LIFE, "FVG") and e.side == side]
    assert [e.kind.name for e in events[1:]] == expected
    assert all(e.ref == events[0].id and e.at == e.known > 2 for e in events[1:])


def test_gap_is_not_touched_by_the_bar_that_makes_it() -> None:
    """The bar whose low is the near edge does not touch the gap; the next one at it does."""
    bars = ohlc(*GAP, (105, 106, 103, 105))
    assert [e[3] for e in told(bars, "FVG_TOUCHED")] == [3]


def test_fill_by_close() -> None:
    """With fill by close a wick through the gap says nothing; a close at an edge does."""
    bars = ohlc(*GAP, (105, 106, 100, 105), (105, 106, 100, 103), (103, 103, 100, 101))
    found = told(bars, *LIFE, side=1, fvg_fill="close")
    assert [(e[0], e[3]) for e in found] == [("FVG_TOUCHED", 4), ("FVG_HALF", 5), ("FVG_FILLED", 5)]


@pytest.mark.parametrize(
    ("clauses", "found"),
    [
        ({"fvg_min_bp": 198}, 1),  # 2 on 101 is 198.02 basis points
        ({"fvg_min_bp": 199}, 0),
        ({"fvg_same_colour": True}, 1),
        ({"fvg_close_beyond": True}, 1),
        ({"fvg_min_atr": 0.5}, 1),  # ATR(2) at bar 1 is (2 + 5) / 2 = 3.5
        ({"fvg_min_atr": 0.6}, 0),
        ({"fvg_min_atr": 0.1, "atr_bars": 3}, 0),  # the ATR is not known yet
        ({"fvg_body_mult": 1.9, "body_bars": 2}, 1),  # 4 % against a mean of 2 %: strictly more
        ({"fvg_body_mult": 2.0, "body_bars": 2}, 0),
        ({"fvg": False}, 0),
    ],
)
def test_clauses_that_choose_gaps(clauses: dict, found: int) -> None:
    """Every size and shape clause lets the gap through up to its boundary and no further."""
    assert len(told(ohlc(*GAP), "FVG", **clauses)) == found


def test_colour_and_close_of_the_middle_candle() -> None:
    """A middle candle that closes down, or at the first one's high, fails its clause."""
    down = ohlc(FLAT, (105, 105, 100, 104), GAP[2])
    assert told(down, "FVG", fvg_same_colour=True) == []
    at_edge = ohlc(FLAT, (100, 105, 100, 101), (101.5, 106, 101.5, 105))
    assert told(at_edge, "FVG", fvg_close_beyond=True) == []
    assert len(told(at_edge, "FVG")) == 1


def test_gap_that_adjoins_the_open_one_is_united_with_it() -> None:
    """The union grows by a gap that overlaps it; once filled, a new gap begins afresh."""
    up = [*GAP, (105, 109, 104.5, 108), (108, 112, 107, 111)]  # gaps 101-103, 105?, 106-107
    events = [e for e in events_of(ohlc(*up)) if e.kind.name in ("FVG", "FVG_MERGED")]
    assert [(e.kind.name, e.low, e.high) for e in events] == [
        ("FVG", 101, 103),
        ("FVG", 106, 107),
    ]
    joined = [*GAP, (105, 107, 102.5, 107), (107, 109, 106.5, 108)]
    events = [e for e in events_of(ohlc(*joined)) if e.kind.name in ("FVG", "FVG_MERGED")]
    assert [(e.kind.name, e.known, e.low, e.high, e.members) for e in events] == [
        ("FVG", 2, 101, 103, 1),
        ("FVG", 4, 106, 106.5, 1),
    ]
    chain = [FLAT, (100, 103, 100.5, 103), (103, 105, 102, 105), (105, 107, 103, 107)]
    events = [e for e in events_of(ohlc(*chain)) if e.kind.name in ("FVG", "FVG_MERGED")]
    assert [(e.kind.name, e.known, e.low, e.high, e.members) for e in events] == [
        ("FVG", 2, 101, 102, 1),
    ]
    chain[3] = (105, 107, 103.5, 107)  # gap 103-103.5 does not reach 102
    chain[2] = (103, 105, 103, 105)  # gap 101-103; with 103-103.5 they adjoin
    events = [e for e in events_of(ohlc(*chain)) if e.kind.name in ("FVG", "FVG_MERGED")]
    assert [(e.kind.name, e.known, e.low, e.high, e.members) for e in events] == [
        ("FVG", 2, 101, 103, 1),
        ("FVG", 3, 103, 103.5, 1),
        ("FVG_MERGED", 3, 101, 103.5, 2),
    ]
    assert events[2].ref == events[1].id


# True ranges 2 and 2: the ATR of two bars is 2 at bar 1.
CALM = (FLAT, FLAT)


@pytest.mark.parametrize(
    ("thrust", "found"),
    [
        ((100, 103.5, 100, 103), [("DISPLACEMENT", 1, 2, 2, 103, 100, 103)]),  # body 3 = 1.5 ATR
        ((100, 104, 98, 102.9), []),
        ((103, 103, 100, 100), [("DISPLACEMENT", -1, 2, 2, 100, 100, 103)]),
    ],
)
def test_displacement_is_measured_by_the_atr_before(thrust: tuple, found: list) -> None:
    """A body of 1.5 ATR at the bar before is a displacement, told at its own close."""
    assert told(ohlc(*CALM, thrust), "DISPLACEMENT") == found
    assert told(ohlc(FLAT, thrust), "DISPLACEMENT") == [], "the ATR before is not known"


def test_displacement_that_needs_a_gap_is_known_a_bar_later() -> None:
    """With require_fvg the body counts only when the next bar leaves a gap, and from then."""
    thrust = (100, 104, 100, 104)
    clauses = {"require_fvg": True}
    gap = ohlc(*CALM, thrust, (104, 106, 102, 105))
    assert [e[:4] for e in told(gap, "DISPLACEMENT", **clauses)] == [("DISPLACEMENT", 1, 2, 3)]
    none = ohlc(*CALM, thrust, (104, 106, 101, 105))
    assert told(none, "DISPLACEMENT", **clauses) == []


# A swing high of 105 at bar 1 and a swing low of 97 at bar 4, broken down, then up.
DOWN_THEN_UP = (
    (101, 102, 99, 101),
    (101, 105, 101, 104),
    (104, 104, 98, 99),
    (99, 100, 98.5, 99.5),
    (99.5, 101, 97, 98),
    (98, 103, 98, 102),
    (102, 102.5, 100, 101),
    (101, 101.5, 95, 96),  # closes below 97: BOS down
    (96, 99, 96, 98),
    (98, 107, 98, 106.5),  # closes above 103: CHoCH up, with a large body
    (106.5, 109, 106, 108),
)


def test_shift_is_a_change_of_character_with_displacement() -> None:
    """A CHoCH whose leg holds a displacement is an MSS as well, in time and price the CHoCH."""
    bars = ohlc(*DOWN_THEN_UP)
    events = [e for e in events_of(bars) if e.kind.name in ("BOS", "CHOCH", "MSS")]
    assert [(e.kind.name, e.side, e.known) for e in events] == [
        ("BOS", -1, 7), ("CHOCH", 1, 9), ("MSS", 1, 9),
    ]  # fmt: skip
    assert events[2].ref == events[1].id
    calm = told(bars, "MSS", displacement_atr=20)
    assert calm == []


def test_shift_whose_displacement_waits_for_its_gap() -> None:
    """With require_fvg the shift is known a bar after the CHoCH, with the displacement's gap."""
    found = told(ohlc(*DOWN_THEN_UP), "CHOCH", "MSS", require_fvg=True)
    assert [e[:4] for e in found] == [("CHOCH", 1, 9, 9), ("MSS", 1, 9, 10)]
