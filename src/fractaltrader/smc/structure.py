"""Breaks of structure: a close beyond the last confirmed swing.

The active level of a side is its last confirmed swing until a close breaks it; it is then consumed,
and the side has none until the next swing is confirmed. The first break, and every break with the
bias, is a BOS; a break against the bias is a CHoCH. Either sets the bias.
"""

from typing import NamedTuple

import numpy as np

from fractaltrader.smc.events import BOS, CHOCH, EventBuffer, FloatArray, IntArray, emit
from fractaltrader.smc.kernel import kernel

NONE = -1


class Structure(NamedTuple):
    """The active level of each side (row 0 lows, row 1 highs)."""

    level: FloatArray  # [2]
    swing: IntArray  # [2, 2]: id of the swing event (NONE: no active level), its bar


def new_structure() -> Structure:
    """No level on either side."""
    return Structure(np.zeros(2), np.full((2, 2), NONE))


@kernel
def set_level(structure: Structure, side: int, level: float, identity: int, pivot: int) -> None:
    """Make a newly confirmed swing the active level of its side."""
    row = 1 if side > 0 else 0
    structure.level[row] = level
    structure.swing[row, 0] = identity
    structure.swing[row, 1] = pivot


@kernel
def check_break(
    structure: Structure,
    events: EventBuffer,
    identity: int,
    bias: int,
    side: int,
    t: int,
    close: float,
) -> int:
    """The bias after bar `t`: emits a break of `side`'s level when `close` lies beyond it."""
    row = 1 if side > 0 else 0
    swing = structure.swing[row, 0]
    level = structure.level[row]
    if swing == NONE or side * close <= side * level:
        return bias
    kind = CHOCH if bias == -side else BOS
    emit(events, identity, kind, side, t, t, structure.swing[row, 1], swing, 1, level, close)
    structure.swing[row, 0] = NONE
    return side
