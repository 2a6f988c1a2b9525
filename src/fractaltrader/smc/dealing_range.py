"""The dealing range: premium and discount, the optimal trade entry, and retracements.

The range spans the last confirmed pair of alternating swings. Its leg runs to the later of the two,
and retracement is measured from the leg's end back: 0 there, 1 at its start.
"""

from typing import NamedTuple

import numpy as np

from fractaltrader.smc.clauses import EngineConfig
from fractaltrader.smc.events import (
    DISCOUNT,
    OTE,
    PREMIUM,
    RANGE,
    RETRACED,
    EventBuffer,
    FloatArray,
    IntArray,
    emit,
)
from fractaltrader.smc.kernel import inlined, kernel

# `price`: the range and the prices that bars are held against; the outermost prices since the later
# swing was known; and the closes, strictly between CALM_LOW and CALM_HIGH, that would say nothing.
BOTTOM, TOP, EQUILIBRIUM, OTE_LOW, OTE_HIGH, NEXT_MARK = range(6)
LOWEST, HIGHEST, CALM_LOW, CALM_HIGH = range(6, 10)
# `whole`: the leg's direction (0: no range), the base bar it ends at, the RANGE event, which half
# the close is in, whether it is in the entry zone, the next mark, and the base bar of the last
# swing of each side.
LEG, LEG_END, RANGE_ID, HALF_, INSIDE, MARK, LOW_BAR, HIGH_BAR = range(8)
# How much of the leg price has gone back.
MARKS = (0.382, 0.5, 0.618, 0.79, 1.0)
OTE_FROM, OTE_TO = 0.618, 0.79
NAN = float("nan")


class Dealing(NamedTuple):
    """The range, its readings and what was last said about it."""

    price: FloatArray  # [10]
    whole: IntArray  # [8]
    swings: FloatArray  # [2]: the last alternating low and high; NaN for none


def new_dealing() -> Dealing:
    """No range."""
    price = np.full(10, np.nan)
    price[LOWEST], price[HIGHEST] = np.inf, -np.inf
    price[CALM_LOW], price[CALM_HIGH] = -np.inf, np.inf
    return Dealing(price, np.zeros(8, np.int64), np.full(2, np.nan))


@kernel
def place_marks(dealing: Dealing) -> None:
    """Turn the range's edges into the prices that the bars are held against."""
    price = dealing.price
    leg = dealing.whole[LEG]
    span = price[TOP] - price[BOTTOM]
    end = price[TOP] if leg > 0 else price[BOTTOM]
    price[EQUILIBRIUM] = price[BOTTOM] + 0.5 * span
    near = end - leg * OTE_FROM * span
    far = end - leg * OTE_TO * span
    price[OTE_LOW] = min(near, far)
    price[OTE_HIGH] = max(near, far)
    mark = dealing.whole[MARK]
    price[NEXT_MARK] = end - leg * MARKS[mark] * span if mark < 5 else -leg * np.inf
    price[CALM_LOW] = np.inf  # the next close has to be looked at


@inlined
def add_point(
    dealing: Dealing, events: EventBuffer, side: int, now: int,
    label: int, level: float, swing: int,
) -> None:  # fmt: skip
    """Take in the new end of the alternating stream: a new range once both sides are known."""
    row = (side + 1) >> 1
    whole = dealing.whole
    dealing.swings[row] = level
    whole[LOW_BAR + row] = label
    bottom = dealing.swings[0]
    top = dealing.swings[1]
    # A pair that does not span a range (or the first swing of all, with NaN) ends the old one.
    if not top > bottom:
        whole[LEG] = 0
        dealing.price[CALM_LOW] = -np.inf
        dealing.price[CALM_HIGH] = np.inf
        return
    whole[LEG] = 1 if whole[HIGH_BAR] >= whole[LOW_BAR] else -1
    whole[LEG_END] = max(whole[HIGH_BAR], whole[LOW_BAR])
    whole[MARK] = 0
    whole[HALF_] = 0
    whole[INSIDE] = 0
    dealing.price[BOTTOM] = bottom
    dealing.price[TOP] = top
    dealing.price[LOWEST] = top
    dealing.price[HIGHEST] = bottom
    place_marks(dealing)
    whole[RANGE_ID] = emit(
        events, RANGE, whole[LEG], label, now, label, swing, 2,
        dealing.price[EQUILIBRIUM], bottom, top,
    )  # fmt: skip


@inlined
def follow(
    config: EngineConfig, dealing: Dealing, events: EventBuffer, now: int, high: float, low: float,
    close: float,
) -> None:  # fmt: skip
    """Hold a bar against the range."""
    price = dealing.price
    price[LOWEST] = min(price[LOWEST], low)
    price[HIGHEST] = max(price[HIGHEST], high)
    if config.range_each_bar | (close <= price[CALM_LOW]) | (close >= price[CALM_HIGH]):
        look_closely(config, dealing, events, now, high, low, close)


@inlined
def look_closely(
    config: EngineConfig, dealing: Dealing, events: EventBuffer, now: int, high: float, low: float,
    close: float,
) -> None:  # fmt: skip
    """Hold a bar against the range when it may say something."""
    price = dealing.price
    if dealing.whole[LEG] == 0:
        return
    if config.trailing_range and (high > price[TOP] or low < price[BOTTOM]):
        price[TOP] = max(price[TOP], high)
        price[BOTTOM] = min(price[BOTTOM], low)
        place_marks(dealing)
    place_close(dealing, events, now, close)
    if config.retracements:
        retrace(dealing, events, now)


@inlined
def place_close(dealing: Dealing, events: EventBuffer, now: int, close: float) -> None:
    """Emit which part of the range the close came to, and find the closes that stay in it."""
    price = dealing.price
    whole = dealing.whole
    origin = whole[LEG_END]
    middle = price[EQUILIBRIUM]
    half = whole[HALF_] if close == middle else 1 if close > middle else -1
    if half != whole[HALF_]:
        whole[HALF_] = half
        emit(
            events, PREMIUM if half > 0 else DISCOUNT, half, now, now, origin, whole[RANGE_ID], 1,
            middle, price[BOTTOM], price[TOP],
        )  # fmt: skip
    low_edge = price[OTE_LOW]
    high_edge = price[OTE_HIGH]
    inside = int((close >= low_edge) & (close <= high_edge))
    if inside > whole[INSIDE]:
        leg = whole[LEG]
        emit(
            events, OTE, leg, now, now, origin, whole[RANGE_ID], 1,
            high_edge if leg > 0 else low_edge, low_edge, high_edge,
        )  # fmt: skip
    whole[INSIDE] = inside
    calm_low = -np.inf
    calm_high = np.inf
    for edge in (middle, low_edge, high_edge):
        calm_low = max(calm_low, edge) if edge <= close else calm_low
        calm_high = min(calm_high, edge) if edge >= close else calm_high
    price[CALM_LOW] = calm_low
    price[CALM_HIGH] = calm_high


@kernel
def retrace(dealing: Dealing, events: EventBuffer, now: int) -> None:
    """Emit the marks that the deepest retracement has passed."""
    price = dealing.price
    whole = dealing.whole
    leg = whole[LEG]
    # Times the sign against the leg, so that "deeper" is "greater".
    deepest = -price[LOWEST] if leg > 0 else price[HIGHEST]
    while whole[MARK] < 5 and deepest >= -leg * price[NEXT_MARK]:
        whole[MARK] += 1
        emit(
            events, RETRACED, leg, now, now, whole[LEG_END], whole[RANGE_ID], whole[MARK],
            price[NEXT_MARK], price[BOTTOM], price[TOP],
        )  # fmt: skip
        place_marks(dealing)


@kernel
def position(dealing: Dealing, close: float) -> float:
    """Where a close lies in the range: 0 at its low, 1 at its high; NaN without a range."""
    if dealing.whole[LEG] == 0:
        return NAN
    price = dealing.price
    return float((close - price[BOTTOM]) / (price[TOP] - price[BOTTOM]))


@kernel
def retraced(dealing: Dealing, low: float, high: float) -> float:
    """How much of the leg a bar of these extremes went back: 0 at the leg's end, 1 at its start.

    NaN without a range. The LOWEST and HIGHEST of the range give its deepest retracement.
    """
    leg = dealing.whole[LEG]
    if leg == 0:
        return NAN
    price = dealing.price
    depth = price[TOP] - low if leg > 0 else high - price[BOTTOM]
    return float(max(depth, 0.0) / (price[TOP] - price[BOTTOM]))
