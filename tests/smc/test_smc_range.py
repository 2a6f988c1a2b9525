"""The dealing range worked by hand: halves, optimal entry, retracements and readings."""

from math import isnan

import pytest
from markets import M15, events_of, mirrored, ohlc, told

from fractaltrader.smc import EngineParameters, EventKind, SmcEngine
from fractaltrader.smc.dealing_range import HIGHEST, LOWEST, position, retraced

# A swing low of 100 at bar 1 and a swing high of 200 at bar 3: the leg runs up, and bar 4 tells it.
LEG = (
    (120, 130, 110, 120),
    (120, 125, 100, 120),
    (120, 160, 110, 150),
    (150, 200, 140, 190),
    (190, 195, 180, 185),
)
STRICT = {"tie": "strict"}


def after(*closes: tuple[float, float]) -> list:
    """The leg and then bars of (low, close) under one high; with strict ties no swings come."""
    return ohlc(*LEG, *((close, 190, low, close) for low, close in closes))


def test_range_of_the_last_pair_of_swings() -> None:
    """The later swing's confirmation tells the range, its equilibrium and the leg's direction."""
    assert told(ohlc(*LEG), "RANGE") == [("RANGE", 1, 3, 4, 150, 100, 200)]
    assert told(ohlc(*LEG[:4]), "RANGE") == []
    (down,) = told(mirrored(ohlc(*LEG)), "RANGE")
    assert down[1:5] == (-1, 3, 4, 50)


def test_halves_change_when_the_close_crosses_equilibrium() -> None:
    """The first close says its half; at equilibrium nothing changes; each crossing is one event."""
    bars = after(*((90, close) for close in (170, 150, 149, 150, 151)))
    found = told(bars, "PREMIUM", "DISCOUNT", **STRICT)
    assert [(e[0], e[1], e[3]) for e in found] == [
        ("PREMIUM", 1, 4), ("DISCOUNT", -1, 7), ("PREMIUM", 1, 9),
    ]  # fmt: skip


def test_optimal_entry_is_measured_from_the_leg_s_end() -> None:
    """In a leg up from 100 to 200 the entry lies from 138.2 down to 121, its far edge included."""
    bars = after(*((90, close) for close in (138.3, 138.1, 130, 120.9, 121)))
    found = told(bars, "OTE", **STRICT)
    assert [(e[1], e[3]) for e in found] == [(1, 6), (1, 9)]
    assert found[0][4:] == (pytest.approx(138.2), pytest.approx(121), pytest.approx(138.2))
    down = told(mirrored(bars), "OTE", **STRICT)
    assert [(e[1], e[3]) for e in down] == [(-1, 6), (-1, 9)]


def test_retracement_marks_are_told_once_by_the_deepest() -> None:
    """A wick that reaches several marks tells each; a shallower bar later tells none again."""
    bars = after((161.8, 170), (150, 170), (150, 170), (121, 170), (100, 170))
    found = [
        (e.members, e.known, e.level)
        for e in events_of(bars, **STRICT, retracements=True)
        if e.kind is EventKind.RETRACED
    ]
    assert [(mark, known) for mark, known, _ in found] == [(1, 5), (2, 6), (3, 8), (4, 8), (5, 9)]
    assert [level for *_, level in found] == pytest.approx([161.8, 150, 138.2, 121, 100])


def test_readings_of_the_range() -> None:
    """Place of the close, retracement of the bar and the deepest since the later swing."""
    engine = SmcEngine(EngineParameters(left=1, right=2), M15)
    dealing = engine.state.cores[0].dealing
    for reading in (position(dealing, 175), retraced(dealing, 160, 190)):
        assert isnan(reading)  # no range yet
    for bar in after((130, 160), (160, 175)):
        engine.on_bar(bar)
    assert position(dealing, 175) == pytest.approx(0.75)
    assert retraced(dealing, 160, 190) == pytest.approx(0.4)
    deepest = dealing.price[LOWEST], dealing.price[HIGHEST]
    assert retraced(dealing, *deepest) == pytest.approx(0.7)


def test_trailing_range_widens_with_price() -> None:
    """trailing_extremes moves equilibrium with new extremes; swing_pair keeps it."""
    bars = ohlc(*LEG, (185, 190, 180, 185), (185, 260, 180, 170))
    assert [e[0] for e in told(bars, "PREMIUM", "DISCOUNT")] == ["PREMIUM"]
    found = told(bars, "PREMIUM", "DISCOUNT", range_anchor="trailing_extremes")
    assert [(e[0], e[3], e[4]) for e in found] == [("PREMIUM", 4, 150), ("DISCOUNT", 6, 180)]
