"""Swings: outermost bars, known `right` bars later.

Both detectors keep the extreme of the last `left` bars of each side and touch older bars only when
that extreme leaves the window, so that most bars cost two comparisons a side. Prices are kept
times the side's sign (+1 highs, -1 lows), so that "beyond" is always "greater".
"""

from typing import NamedTuple

import numpy as np

from fractaltrader.smc.events import FloatArray, IntArray
from fractaltrader.smc.kernel import inlined, kernel
from fractaltrader.smc.window import MASK

# Pending swings are more than `left` and less than `right` bars apart: at most 26 for 1 and 50.
QUEUE = 32
SLIDE_BAR, HEAD, COUNT, LEG = range(4)


class Swings(NamedTuple):
    """Row 0 looks for lows, row 1 for highs."""

    extreme: FloatArray  # [2]: outermost price of the last `left` bars, times the sign
    whole: IntArray  # [2, 4]: SLIDE_BAR of that price, HEAD and COUNT of the queue, LEG (row 0)
    queue_bar: IntArray  # [2, QUEUE]: bars beyond the `left` before them that no later one beat
    queue_price: FloatArray  # [2, QUEUE]: their prices, times the sign, falling


def new_swings() -> Swings:
    """No bar seen."""
    return Swings(
        np.full(2, -np.inf),
        np.zeros((2, 4), np.int64),
        np.zeros((2, QUEUE), np.int64),
        np.zeros((2, QUEUE)),
    )


@inlined
def rescan(
    swings: Swings, window: FloatArray, row: int, sign: int, column: int, first: int, t: int
) -> None:
    """Find the extreme of bars first…t anew, the latest of equal ones."""
    best = sign * window[t & MASK, column]
    bar = t
    for k in range(t - 1, first - 1, -1):
        price = sign * window[k & MASK, column]
        if price > best:
            best = price
            bar = k
    swings.extreme[row] = best
    swings.whole[row, SLIDE_BAR] = bar


@inlined
def beaten(swings: Swings, row: int, price: float, ties_count: bool) -> None:
    """Forget the pending swings that `price` exceeds, or equals where ties do not count."""
    count = swings.whole[row, COUNT]
    head = swings.whole[row, HEAD]
    while count > 0:
        last = swings.queue_price[row, (head + count - 1) & (QUEUE - 1)]
        if last > price or (last == price and ties_count):
            break
        count -= 1
    swings.whole[row, COUNT] = count


@inlined
def fractal(
    swings: Swings, window: FloatArray, row: int, sign: int, column: int, t: int, since: int,
    left: int, right: int, ties_count: bool,
) -> bool:  # fmt: skip
    """Whether bar t-right is a swing at the close of bar `t`.

    Its extreme is strictly beyond the `left` bars before it, none of them before bar `since`, and
    strictly beyond the `right` bars after it or, where ties count, at least equal to them.
    """
    whole = swings.whole
    price = sign * window[t & MASK, column]
    if price > swings.extreme[row]:
        beaten(swings, row, price, ties_count)
        swings.extreme[row] = price
        whole[row, SLIDE_BAR] = t
        if t >= since + left:
            place = (whole[row, HEAD] + whole[row, COUNT]) & (QUEUE - 1)
            swings.queue_bar[row, place] = t
            swings.queue_price[row, place] = price
            whole[row, COUNT] += 1
    elif price == swings.extreme[row]:
        whole[row, SLIDE_BAR] = t
        if not ties_count:
            beaten(swings, row, price, ties_count)
    elif t - whole[row, SLIDE_BAR] >= left:
        rescan(swings, window, row, sign, column, max(t - left + 1, since), t)
    if whole[row, COUNT] == 0 or swings.queue_bar[row, whole[row, HEAD]] != t - right:
        return False
    whole[row, HEAD] = (whole[row, HEAD] + 1) & (QUEUE - 1)
    whole[row, COUNT] -= 1
    return True


@kernel
def beyond_later(
    swings: Swings, window: FloatArray, row: int, sign: int, column: int, t: int, since: int,
    bars: int,
) -> bool:  # fmt: skip
    """Whether bar t-bars lies strictly beyond the `bars` bars after it, on one side."""
    price = sign * window[t & MASK, column]
    if price >= swings.extreme[row]:
        swings.extreme[row] = price
        swings.whole[row, SLIDE_BAR] = t
    elif t - swings.whole[row, SLIDE_BAR] >= bars:
        rescan(swings, window, row, sign, column, max(t - bars + 1, since), t)
    pivot = t - bars
    return pivot >= since and sign * window[pivot & MASK, column] > swings.extreme[row]


@kernel
def void(swings: Swings) -> None:
    """Start afresh after a hole; the leg stays what it was."""
    for row in range(2):
        swings.extreme[row] = -np.inf
        swings.whole[row, COUNT] = 0
