"""The last bars in a ring, and the statistics over a declared number of them.

Every mean is a plain sum over its own window: it forgets exactly, so two runs that started at
different bars agree as soon as the window is full, and it is bit-equal compiled or not.
"""

import numpy as np

from fractaltrader.smc.events import FloatArray
from fractaltrader.smc.kernel import inlined

CAPACITY = 256  # a power of two: the ring index is a bit mask
MASK = CAPACITY - 1
OPEN_, HIGH_, LOW_, CLOSE_, VOLUME_, TRUE_RANGE = range(6)
NAN = float("nan")


def new_window(capacity: int = CAPACITY) -> FloatArray:
    """An empty ring of bars [capacity, 6]."""
    window = np.zeros((capacity, 6))
    # No gap to a bar that was never there.
    window[:, HIGH_] = np.inf
    window[:, LOW_] = -np.inf
    return window


@inlined
def push(
    window: FloatArray, t: int, open_: float, high: float, low: float, close: float, volume: float
) -> None:
    """Store bar `t` and its true range, max(high, previous close) - min(low, previous close)."""
    top = high
    bottom = low
    if t > 0:
        previous = window[(t - 1) & MASK, CLOSE_]
        top = max(high, previous)
        bottom = min(low, previous)
    row = t & MASK
    window[row, OPEN_] = open_
    window[row, HIGH_] = high
    window[row, LOW_] = low
    window[row, CLOSE_] = close
    window[row, VOLUME_] = volume
    window[row, TRUE_RANGE] = top - bottom


@inlined
def mean(window: FloatArray, t: int, bars: int, column: int) -> float:
    """Mean of `column` over the `bars` bars that end at `t`; NaN before there are that many.

    Four partial sums, because one sum waits for each addition in turn.
    """
    if t + 1 < bars:
        return NAN
    first = 0.0
    second = 0.0
    third = 0.0
    fourth = 0.0
    k = t - bars + 1
    while k + 3 <= t:
        first += window[k & MASK, column]
        second += window[(k + 1) & MASK, column]
        third += window[(k + 2) & MASK, column]
        fourth += window[(k + 3) & MASK, column]
        k += 4
    while k <= t:
        first += window[k & MASK, column]
        k += 1
    return ((first + second) + (third + fourth)) / bars
