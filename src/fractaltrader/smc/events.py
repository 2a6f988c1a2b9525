"""Events: facts with the bar they describe and the bar at which they became known.

Events are only ever appended. A later fact about an earlier one (a level swept, a zone filled) is a
new event that points back with `ref`. docs/smc.md has the vocabulary as a table.
"""

from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fractaltrader.smc.kernel import kernel, nth

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
SmallIntArray = NDArray[np.int32]

# Of an event's columns: kind to members, level to high.
_WHOLE = [np.dtype(code) for code in ("u2", "i1", *5 * ("i4",))]
_PRICES = [np.dtype("f8")] * 3


class EventKind(IntEnum):
    """What an event states."""

    SWING = 1  # a swing high or low is confirmed
    BOS = 2  # break of structure: a break with the bias, or the first of all
    CHOCH = 3  # change of character: a break against the bias
    POOL = 4  # equal highs or lows: a swing joined an earlier level
    SWEEP = 5  # a level was penetrated and closed back inside in time
    TAKEN = 6  # a level was penetrated and not reclaimed in time
    EXPIRED = 7  # a level or zone was forgotten: too old, or the oldest of too many
    HH = 8  # a swing high above the one before
    LH = 9  # a swing high not above the one before
    HL = 10  # a swing low not below the one before
    LL = 11  # a swing low below the one before
    SUPERSEDED = 12  # a second swing of the same side in a row lies further out than the first
    STRONG = 13  # the leg that began at this swing broke structure
    WEAK = 14  # a swing that was broken before it became strong
    MSS = 15  # market structure shift: a CHoCH whose breaking leg holds a displacement
    DISPLACEMENT = 16  # a body that is large against the ATR of the bar before
    FVG = 17  # fair value gap: bars t-2 and t do not overlap
    FVG_TOUCHED = 18  # price came back to the gap's near edge
    FVG_HALF = 19  # ... to its middle
    FVG_FILLED = 20  # ... to its far edge
    FVG_INVERSE = 21  # a close beyond the far edge: the gap now works the other way
    FVG_MERGED = 22  # a gap that overlaps or adjoins the open one before it
    OB = 23  # order block: the candle a break of structure or displacement came from
    OB_TOUCHED = 24  # price came back to the block's near edge
    OB_MITIGATED = 25  # ... to where the clause `mitigation` says
    OB_INVALIDATED = 26  # price went beyond the far edge
    BREAKER = 27  # an invalidated block after the opposite break; its leg raided the extreme before
    MITIGATION = 28  # the same where the failing leg did not reach the extreme before
    BLOCK_TOUCHED = 29  # price came back to a breaker or mitigation block
    BLOCK_INVALIDATED = 30  # a close beyond its far edge
    PREV_DAY = 31  # high (side 1) and low (-1) of the UTC day that ended
    PREV_WEEK = 32  # ... of the week, from Monday 00:00 UTC
    PREV_MONTH = 33  # ... of the calendar month, UTC
    SESSION_OPEN = 34  # the first bar of a session
    SESSION = 35  # final high (side 1) and low (-1) of a session
    OPENING_RANGE = 36  # high and low of a session's first minutes
    RANGE = 37  # a new dealing range, from the last confirmed pair of swings
    PREMIUM = 38  # the close moved into the upper half of the dealing range
    DISCOUNT = 39  # ... into the lower half
    OTE = 40  # the close entered the optimal trade entry, 0.618-0.79 back from the leg's end
    RETRACED = 41  # the deepest retracement of the leg passed the next mark
    HOLE = 42  # bars are missing before this one
    CANDIDATE = 43  # tentative: the outermost price since the last opposite swing; never a signal


# Plain numbers for the kernels.
(
    SWING, BOS, CHOCH, POOL, SWEEP, TAKEN, EXPIRED, HH, LH, HL, LL, SUPERSEDED, STRONG, WEAK, MSS,
    DISPLACEMENT, FVG, FVG_TOUCHED, FVG_HALF, FVG_FILLED, FVG_INVERSE, FVG_MERGED, OB, OB_TOUCHED,
    OB_MITIGATED, OB_INVALIDATED, BREAKER, MITIGATION, BLOCK_TOUCHED, BLOCK_INVALIDATED, PREV_DAY,
    PREV_WEEK, PREV_MONTH, SESSION_OPEN, SESSION, OPENING_RANGE, RANGE, PREMIUM, DISCOUNT, OTE,
    RETRACED, HOLE, CANDIDATE,
) = (int(kind) for kind in EventKind)  # fmt: skip

_KINDS = (EventKind.SWING, *EventKind)  # by number; looking up is faster than calling the enum


class Event(NamedTuple):
    """One fact. Bars are base bars, counted from 0 at the first one the engine was given.

    `side` is +1 for highs, upward breaks and bullish zones, -1 for the opposite. `at` is the bar
    the event describes, `known` the first bar at whose close it can be stated, `origin` the bar its
    level or zone comes from. `ref` is the id of the event it rests on, -1 for none; `members`
    counts what the event is made of. `level` is the price that matters, `low`…`high` the range the
    event covers. `timeframe` is 0 for the base bars, else the place in the clause `htf`, from 1.
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
    timeframe: int = 0


class EventBuffer(NamedTuple):
    """Columns that the kernels append to; `size[0]` rows of them are filled.

    A kind is stored with the timeframe it was seen on, so that plain kinds are those of the base.
    """

    kind: NDArray[np.uint16]
    side: NDArray[np.int8]
    at: SmallIntArray
    known: SmallIntArray
    origin: SmallIntArray
    ref: SmallIntArray
    members: SmallIntArray
    level: FloatArray
    low: FloatArray
    high: FloatArray
    size: IntArray  # [3]: rows filled; id of the first; what to add to a kind: the timeframe's


FIRST_ID, TAG = 1, 2
TIMEFRAME_SHIFT = 8
KIND_MASK = (1 << TIMEFRAME_SHIFT) - 1


def new_buffer(capacity: int) -> EventBuffer:
    """An empty buffer in two pieces of memory; what is never written costs nothing.

    The C library keeps freed memory up to twice the largest piece: of two alike the next run finds
    both, and the system need not clear them anew.
    """
    # Columns of any type begin at a multiple of 64 bytes: an odd one, or the lines that those of a
    # type are written to might all share one place of the first cache.
    rows = (-(-capacity // 64) | 1) * 64
    columns: list[Any] = []
    for part in (_WHOLE, _PRICES):
        memory = np.empty(rows * sum(kind.itemsize for kind in part), np.uint8)
        at = 0
        for kind in part:
            columns.append(memory[at : at + capacity * kind.itemsize].view(kind))
            at += rows * kind.itemsize
    return EventBuffer._make([*columns, np.zeros(3, np.int64)])


def wider(events: EventBuffer, capacity: int) -> EventBuffer:
    """The rows of a buffer in one of more capacity."""
    more = new_buffer(capacity)
    count = events.size[0]
    columns: Any = zip(events[:-1], more[:-1], strict=True)
    for old, new in columns:
        new[:count] = old[:count]
    more.size[:] = events.size
    return more


@kernel
def emit(
    events: EventBuffer, kind: int, side: int, at: int, known: int, origin: int, ref: int,
    members: int, level: float, low: float, high: float,
) -> int:  # fmt: skip
    """Append one event and return its id."""
    row = nth(events.size[0])
    events.kind[row] = kind + events.size[TAG]
    events.side[row] = side
    events.at[row] = at
    events.known[row] = known
    events.origin[row] = origin
    events.ref[row] = ref
    events.members[row] = members
    events.level[row] = level
    events.low[row] = low
    events.high[row] = high
    events.size[0] = row + 1
    return int(events.size[FIRST_ID] + row)


def records(events: EventBuffer) -> list[Event]:
    """The rows of a buffer as `scalar_views` shows it, one Event each."""
    kind, side, at, known, origin, ref, members, level, low, high, size = events
    first = size[FIRST_ID]
    # For the few rows of a bar, reading number by number is faster than to slice the columns.
    return [
        tuple.__new__(
            Event,
            (
                _KINDS[kind[i] & KIND_MASK], side[i], at[i], known[i], origin[i], ref[i],
                members[i], first + i, level[i], low[i], high[i], kind[i] >> TIMEFRAME_SHIFT,
            ),
        )
        for i in range(size[0])
    ]  # fmt: skip


class EventColumns(NamedTuple):
    """The events of a batch run in columns, oldest first; an event's id is its row."""

    kind: NDArray[np.uint8]
    timeframe: NDArray[np.uint8]
    side: NDArray[np.int8]
    at: SmallIntArray
    known: SmallIntArray
    origin: SmallIntArray
    ref: SmallIntArray
    members: SmallIntArray
    level: FloatArray
    low: FloatArray
    high: FloatArray

    def rows(self, rows: "NDArray[np.bool_] | slice") -> "EventColumns":
        """Only the chosen rows; their ids are then no longer their places."""
        return EventColumns._make(column[rows] for column in self)

    def of_kind(self, kind: EventKind) -> "EventColumns":
        """Only the events of one kind on the base timeframe."""
        return self.rows((self.kind == kind) & (self.timeframe == 0))

    def records(self) -> list[Event]:
        """One Event a row."""
        columns = (column.tolist() for column in self)
        return [
            Event._make(
                (_KINDS[kind], side, at, known, origin, ref, members, row, *prices, timeframe)
            )
            for row, (kind, timeframe, side, at, known, origin, ref, members, *prices) in enumerate(
                zip(*columns, strict=True)
            )
        ]


def columns_of(events: EventBuffer) -> EventColumns:
    """The rows of a buffer, whose memory they keep."""
    count = events.size[0]
    columns: Any = (column[:count] for column in events[1:-1])
    kind = events.kind[:count].view(np.uint8)  # the low byte first
    return EventColumns(kind[::2], kind[1::2], *columns)
