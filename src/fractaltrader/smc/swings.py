"""Fractal swings: a bar beyond its `left` and `right` neighbours, known `right` bars later.

Bars are counted as they come: a missing bar inside the confirmation window delays the swing by the
time it takes, and does not void it.
"""

from fractaltrader.smc.events import FloatArray
from fractaltrader.smc.kernel import kernel
from fractaltrader.smc.window import MASK


@kernel
def is_swing(
    window: FloatArray, t: int, column: int, sign: int, left: int, right: int, ties_count: bool
) -> bool:
    """Whether bar t-right is a swing at the close of bar `t`.

    `sign` is +1 to look for highs in `column`, -1 for lows. The extreme is strictly beyond the
    `left` bars before it, and strictly beyond the `right` bars after it or, where `ties_count`, at
    least equal to them: the first bar of a plateau wins.
    """
    pivot = t - right
    if pivot < left:
        return False
    extreme = sign * window[pivot & MASK, column]
    for k in range(pivot + 1, t + 1):
        after = sign * window[k & MASK, column]
        if after > extreme or (after == extreme and not ties_count):
            return False
    for k in range(pivot - left, pivot):  # noqa: SIM110 - numba compiles the loop
        if sign * window[k & MASK, column] >= extreme:
            return False
    return True
