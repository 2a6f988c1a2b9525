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
    emit_if,
)
from fractaltrader.smc.kernel import inlined, kernel

# `price`: the range and the prices that bars are held against; of the newest bar its close and its
# extreme against the leg, and the outermost such extreme since the later swing was known, both
# times the sign against the leg, so that "deeper" is always "greater".
BOTTOM, TOP, EQUILIBRIUM, OTE_LOW, OTE_HIGH, NEXT_MARK, LAST_CLOSE, BACK, DEEPEST = range(9)
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

    price: FloatArray  # [9]
    whole: IntArray  # [8]
    swings: FloatArray  # [2]: the last alternating low and high; NaN for none


def new_dealing() -> Dealing:
    """No range."""
    return Dealing(np.full(9, np.nan), np.zeros(8, np.int64), np.full(2, np.nan))


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
        return
    whole[LEG] = 1 if whole[HIGH_BAR] >= whole[LOW_BAR] else -1
    whole[LEG_END] = max(whole[HIGH_BAR], whole[LOW_BAR])
    whole[MARK] = 0
    whole[HALF_] = 0
    whole[INSIDE] = 0
    dealing.price[BOTTOM] = bottom
    dealing.price[TOP] = top
    dealing.price[DEEPEST] = -top if whole[LEG] > 0 else bottom
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
    """Hold a bar against the range, and emit which part of it the close came to."""
    price = dealing.price
    whole = dealing.whole
    leg = whole[LEG]
    back = max(-leg * high, -leg * low)
    price[LAST_CLOSE] = close
    price[BACK] = back
    price[DEEPEST] = max(price[DEEPEST], back)
    if config.trailing_range and (high > price[TOP] or low < price[BOTTOM]):
        price[TOP] = max(price[TOP], high)
        price[BOTTOM] = min(price[BOTTOM], low)
        place_marks(dealing)
    origin = whole[LEG_END]
    bottom = price[BOTTOM]
    top = price[TOP]
    before = whole[HALF_]
    half = int(close > price[EQUILIBRIUM]) - int(close < price[EQUILIBRIUM])
    half = before if half == 0 else half
    whole[HALF_] = half
    emit_if(
        half != before, events, PREMIUM if half > 0 else DISCOUNT, half, now, now, origin,
        whole[RANGE_ID], 1, price[EQUILIBRIUM], bottom, top,
    )  # fmt: skip
    low_edge = price[OTE_LOW]
    high_edge = price[OTE_HIGH]
    inside = int((close >= low_edge) & (close <= high_edge))
    entered = inside > whole[INSIDE]
    whole[INSIDE] = inside
    emit_if(
        entered, events, OTE, leg, now, now, origin, whole[RANGE_ID], 1,
        high_edge if leg > 0 else low_edge, low_edge, high_edge,
    )  # fmt: skip
    if config.retracements:
        retrace(dealing, events, now)


@kernel
def retrace(dealing: Dealing, events: EventBuffer, now: int) -> None:
    """Emit the marks that the deepest retracement has passed."""
    price = dealing.price
    whole = dealing.whole
    leg = whole[LEG]
    while whole[MARK] < 5 and price[DEEPEST] >= -leg * price[NEXT_MARK]:
        whole[MARK] += 1
        emit(
            events, RETRACED, leg, now, now, whole[LEG_END], whole[RANGE_ID], whole[MARK],
            price[NEXT_MARK], price[BOTTOM], price[TOP],
        )  # fmt: skip
        place_marks(dealing)


@kernel
def position(dealing: Dealing) -> float:
    """Where the newest close lies in the range: 0 at its low, 1 at its high; NaN without one."""
    if dealing.whole[LEG] == 0:
        return NAN
    price = dealing.price
    return float((price[LAST_CLOSE] - price[BOTTOM]) / (price[TOP] - price[BOTTOM]))


@kernel
def retraced(dealing: Dealing, deepest: bool) -> float:
    """How much of the leg the newest bar (or the deepest since its swing) went back, else NaN.

    0 at the leg's end, 1 at its start.
    """
    leg = dealing.whole[LEG]
    if leg == 0:
        return NAN
    price = dealing.price
    back = -leg * (price[DEEPEST] if deepest else price[BACK])
    end = price[TOP] if leg > 0 else price[BOTTOM]
    return float(max(leg * (end - back), 0.0) / (price[TOP] - price[BOTTOM]))
