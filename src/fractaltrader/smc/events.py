"""Events: facts with the bar they describe and the bar at which they became known.

Events are only ever appended. A later fact about an earlier one (a level swept) is a new event
that points back with `ref`.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fractaltrader.smc.kernel import kernel

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


class EventKind(IntEnum):
    """What an event states."""

    SWING = 1  # a fractal high or low is confirmed
    BOS = 2  # break of structure: a close beyond the last swing, with the bias
    CHOCH = 3  # change of character: the same, against the bias
    POOL = 4  # equal highs or lows: a swing joined an earlier level
    SWEEP = 5  # a level was penetrated and closed back inside in time
    TAKEN = 6  # a level was penetrated and not reclaimed in time
    EXPIRED = 7  # the oldest level was forgotten to stay within memory


# Plain numbers for the kernels.
SWING, BOS, CHOCH, POOL, SWEEP, TAKEN, EXPIRED = (int(kind) for kind in EventKind)

KIND, SIDE, AT, KNOWN, ORIGIN, REF, MEMBERS, ID = range(8)
LEVEL, LOW, HIGH = range(3)


class Event(NamedTuple):
    """One fact. Bars are counted from 0 at the first bar the engine was given.

    `side` is +1 for highs and upward breaks, -1 for lows and downward breaks. `at` is the bar the
    event describes (the swing's extreme, the penetration), `known` the first bar at whose close it
    can be stated, `origin` the bar of the swing that made the level. `low`…`high` is the price
    range the event covers. `ref` is the id of the event that made the level, -1 for none;
    `members` the number of swings in the level.
    """

    kind: EventKind
    side: int
    at: int
    known: int
    origin: int
    ref: int
    members: int
    id: int
    level: float
    low: float
    high: float


class EventBuffer(NamedTuple):
    """Columns that the kernels append to; `size[0]` rows are filled."""

    whole: IntArray  # [capacity, 8]: KIND … ID
    price: FloatArray  # [capacity, 3]: LEVEL, LOW, HIGH
    size: IntArray  # [1]


def new_buffer(capacity: int) -> EventBuffer:
    """An empty buffer."""
    return EventBuffer(
        np.zeros((capacity, 8), np.int64), np.zeros((capacity, 3)), np.zeros(1, np.int64)
    )


@kernel
def bar_capacity(max_levels: int) -> int:
    """The most events one bar can bring: every level of both sides ends, and one of each else."""
    return 2 * max_levels + 8


@kernel
def emit(
    events: EventBuffer,
    identity: int,
    kind: int,
    side: int,
    at: int,
    known: int,
    origin: int,
    ref: int,
    members: int,
    level: float,
    other: float,
) -> None:
    """Append one event whose price range spans `level` and `other`."""
    row = events.size[0]
    whole = events.whole
    whole[row, KIND] = kind
    whole[row, SIDE] = side
    whole[row, AT] = at
    whole[row, KNOWN] = known
    whole[row, ORIGIN] = origin
    whole[row, REF] = ref
    whole[row, MEMBERS] = members
    whole[row, ID] = identity
    price = events.price
    price[row, LEVEL] = level
    price[row, LOW] = min(level, other)
    price[row, HIGH] = max(level, other)
    events.size[0] = row + 1


@dataclass(frozen=True, slots=True, eq=False)
class EventColumns:
    """The events of a batch run, oldest first: whole numbers [n, 8] and prices [n, 3]."""

    whole: IntArray
    price: FloatArray

    def __len__(self) -> int:
        return len(self.whole)

    def of_kind(self, kind: EventKind) -> "EventColumns":
        """Only the events of one kind."""
        chosen = self.whole[:, KIND] == kind
        return EventColumns(self.whole[chosen], self.price[chosen])

    def records(self) -> list[Event]:
        """One Event a row."""
        return [
            Event(EventKind(whole[0]), *whole[1:], *price)
            for whole, price in zip(self.whole.tolist(), self.price.tolist(), strict=True)
        ]


def filled(events: EventBuffer) -> EventColumns:
    """A copy of what the buffer holds."""
    count = int(events.size[0])
    return EventColumns(events.whole[:count].copy(), events.price[:count].copy())
