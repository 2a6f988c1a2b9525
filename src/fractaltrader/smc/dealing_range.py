"""The dealing range: premium and discount, the optimal trade entry, and retracements.

The range spans the last confirmed pair of alternating swings. Its leg runs to the later of the two,
and retracement is measured from the leg's end back: 0 there, 1 at its start.
"""

from typing import NamedTuple

import numpy as np

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

# `price`: the range and the prices that bars are held against; of the newest bar its close and its
# extreme against the leg, and the outermost such extreme since the later swing was known.
# Strictly between QUIET_FROM and QUIET_TO a close changes nothing.
(
    BOTTOM, TOP, EQUILIBRIUM, OTE_NEAR, OTE_FAR, NEXT_MARK, LAST_CLOSE, BACK, DEEPEST, QUIET_FROM,
    QUIET_TO,
) = range(11)  # fmt: skip
# `whole`: the leg's direction (0: no range), the RANGE event, which half the close is in, whether
# it is in the entry zone, the next mark, and the last swing of each side: id, base bar.
LEG, RANGE_ID, HALF_, INSIDE, MARK, LOW_ID, LOW_BAR, HIGH_ID, HIGH_BAR = range(9)
# How much of the leg price has gone back.
MARKS = (0.382, 0.5, 0.618, 0.79, 1.0)
OTE_FROM, OTE_TO = 0.618, 0.79
NAN = float("nan")


class Dealing(NamedTuple):
    """The range, its readings and what was last said about it."""

    price: FloatArray  # [11]
    whole: IntArray  # [9]
    swings: FloatArray  # [2]: the last alternating low and high; NaN for none


def new_dealing() -> Dealing:
    """No range."""
    return Dealing(np.full(11, np.nan), np.zeros(9, np.int64), np.full(2, np.nan))


@kernel
def place_marks(dealing: Dealing) -> None:
    """Turn the range's edges into the prices that the bars are held against."""
    price = dealing.price
    leg = dealing.whole[LEG]
    span = price[TOP] - price[BOTTOM]
    end = price[TOP] if leg > 0 else price[BOTTOM]
    price[EQUILIBRIUM] = price[BOTTOM] + 0.5 * span
    price[OTE_NEAR] = end - leg * OTE_FROM * span
    price[OTE_FAR] = end - leg * OTE_TO * span
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
    whole[LOW_ID + 2 * row] = swing
    whole[LOW_BAR + 2 * row] = label
    bottom = dealing.swings[0]
    top = dealing.swings[1]
    # A pair that does not span a range (or the first swing of all, with NaN) ends the old one.
    if not top > bottom:
        whole[LEG] = 0
        return
    whole[LEG] = 1 if whole[HIGH_BAR] >= whole[LOW_BAR] else -1
    whole[MARK] = 0
    whole[HALF_] = 0
    whole[INSIDE] = 0
    dealing.price[BOTTOM] = bottom
    dealing.price[TOP] = top
    dealing.price[DEEPEST] = top if whole[LEG] > 0 else bottom
    dealing.price[QUIET_FROM] = np.inf
    place_marks(dealing)
    whole[RANGE_ID] = emit(
        events, RANGE, whole[LEG], label, now, label, swing, 2,
        dealing.price[EQUILIBRIUM], bottom, top,
    )  # fmt: skip


@kernel
def read_range(
    dealing: Dealing, events: EventBuffer, now: int, high: float,
    low: float, close: float, trailing: bool, marks: bool,
) -> None:  # fmt: skip
    """Update the readings of a range and emit what changed; `trailing` lets price widen it."""
    price = dealing.price
    whole = dealing.whole
    leg = whole[LEG]
    if trailing and (high > price[TOP] or low < price[BOTTOM]):
        price[TOP] = max(price[TOP], high)
        price[BOTTOM] = min(price[BOTTOM], low)
        place_marks(dealing)
    half = 1 if close > price[EQUILIBRIUM] else -1 if close < price[EQUILIBRIUM] else whole[HALF_]
    if half != whole[HALF_]:
        whole[HALF_] = half
        say(dealing, events, (PREMIUM if half > 0 else DISCOUNT), half, now)
    price[QUIET_FROM] = -np.inf
    price[QUIET_TO] = np.inf
    for edge in (EQUILIBRIUM, OTE_NEAR, OTE_FAR):
        if price[edge] <= close:
            price[QUIET_FROM] = max(price[QUIET_FROM], price[edge])
        if price[edge] >= close:
            price[QUIET_TO] = min(price[QUIET_TO], price[edge])
    inside = leg * (price[OTE_NEAR] - close) >= 0.0 and leg * (close - price[OTE_FAR]) >= 0.0
    if inside != (whole[INSIDE] == 1):
        whole[INSIDE] = 1 if inside else 0
        if inside:
            near = price[OTE_NEAR]
            far = price[OTE_FAR]
            emit(
                events, OTE, leg, now, now, whole[LOW_BAR if leg < 0 else HIGH_BAR],
                whole[RANGE_ID], 1, near, min(near, far), max(near, far),
            )  # fmt: skip
    while marks and whole[MARK] < 5 and leg * (price[NEXT_MARK] - price[DEEPEST]) >= 0.0:
        whole[MARK] += 1
        emit(
            events, RETRACED, leg, now, now, whole[LOW_BAR if leg < 0 else HIGH_BAR],
            whole[RANGE_ID], whole[MARK], price[NEXT_MARK], price[BOTTOM], price[TOP],
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
    back = price[DEEPEST] if deepest else price[BACK]
    end = price[TOP] if leg > 0 else price[BOTTOM]
    return float(max(leg * (end - back), 0.0) / (price[TOP] - price[BOTTOM]))


@kernel
def say(dealing: Dealing, events: EventBuffer, kind: int, side: int, now: int) -> None:
    """Emit which half of the range the close is in now."""
    price = dealing.price
    origin = dealing.whole[LOW_BAR if dealing.whole[LEG] < 0 else HIGH_BAR]
    emit(
        events, kind, side, now, now, origin, dealing.whole[RANGE_ID], 1,
        price[EQUILIBRIUM], price[BOTTOM], price[TOP],
    )  # fmt: skip
