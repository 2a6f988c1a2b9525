"""The last bars in a ring, and the statistics over a declared number of them.

Every mean is a plain sum over its own window: it forgets exactly, so two runs that started at
different bars agree as soon as the window is full, and it is bit-equal compiled or not.
"""

from typing import NamedTuple

import numpy as np

from fractaltrader.smc.events import FloatArray
from fractaltrader.smc.kernel import inlined

CAPACITY = 256  # a power of two: the ring index is a bit mask
MASK = CAPACITY - 1
NAN = float("nan")


class Window(NamedTuple):
    """The last bars; bar `t` is at `t & MASK` of each ring [CAPACITY]."""

    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    true_range: FloatArray


def new_window() -> Window:
    """Empty rings, in which no bar has a gap to one that was never there."""
    return Window(
        open=np.zeros(CAPACITY),
        high=np.full(CAPACITY, np.inf),
        low=np.full(CAPACITY, -np.inf),
        close=np.zeros(CAPACITY),
        volume=np.zeros(CAPACITY),
        true_range=np.zeros(CAPACITY),
    )


@inlined
def push(
    window: Window, t: int, open_: float, high: float, low: float, close: float, volume: float
) -> None:
    """Store bar `t` and its true range, max(high, previous close) - min(low, previous close)."""
    top = high
    bottom = low
    if t > 0:
        previous = window.close[(t - 1) & MASK]
        top = max(high, previous)
        bottom = min(low, previous)
    row = t & MASK
    window.open[row] = open_
    window.high[row] = high
    window.low[row] = low
    window.close[row] = close
    window.volume[row] = volume
    window.true_range[row] = top - bottom


@inlined
def mean(ring: FloatArray, t: int, bars: int) -> float:
    """Mean over the `bars` bars of `ring` that end at `t`; NaN before there are that many.

    Four partial sums, because one sum waits for each addition in turn.
    """
    if t + 1 < bars:
        return NAN
    first = 0.0
    second = 0.0
    third = 0.0
    fourth = 0.0
    start = t - bars + 1
    rest = start + bars // 4 * 4
    for k in range(start, rest, 4):
        first += ring[k & MASK]
        second += ring[(k + 1) & MASK]
        third += ring[(k + 2) & MASK]
        fourth += ring[(k + 3) & MASK]
    for k in range(rest, t + 1):
        first += ring[k & MASK]
    return ((first + second) + (third + fourth)) / bars
