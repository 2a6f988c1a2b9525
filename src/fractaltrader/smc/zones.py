"""Zones: gaps and blocks that wait for price to come back.

A bullish zone lies below price and waits for lows, a bearish one above and waits for highs. Prices
are kept times the way price comes (-1 towards bullish zones, +1 towards bearish ones), so that
"reached" is always "at least". Zones are sorted by the price they wait for, the nearest last: a bar
that does not reach it touches no other.
"""

from typing import NamedTuple

import numpy as np

from fractaltrader.smc.events import (
    BLOCK_INVALIDATED,
    BLOCK_TOUCHED,
    EXPIRED,
    FVG,
    FVG_FILLED,
    FVG_HALF,
    FVG_INVERSE,
    FVG_TOUCHED,
    OB,
    OB_INVALIDATED,
    OB_MITIGATED,
    OB_TOUCHED,
    EventBuffer,
    FloatArray,
    IntArray,
    emit,
)
from fractaltrader.smc.kernel import inlined, kernel

# The edges of a zone as price meets them, and what mitigates it.
NEAR, MIDDLE, FAR = range(3)
# FVG, OB or (for breakers and mitigation blocks) BLOCK; how far price came; event id; base bar it
# comes from; own bar number at which it became known.
KIND_, STAGE, ID_, LABEL_, BORN = range(5)
BLOCK = 0
FRESH, TOUCHED, HALF, FILLED, ENDED = range(5)
NEVER = 1 << 62
LIMIT = 2
MOST_ZONES = 64
FAILED = 8  # the newest invalidated blocks of a side that may still become breakers


class Zones(NamedTuple):
    """Row 0 is bearish zones, row 1 bullish.

    A zone keeps its slot while it lives; what is sorted is the list of slots. The slots behind the
    first `size` of a list are free.
    """

    near: FloatArray  # [2]: the nearest price a zone waits for; inf when there is none
    due: IntArray  # [2]: no zone expires before this own bar
    size: IntArray  # [3]: zones a side, and the most it may remember
    trigger: FloatArray  # [2, MOST_ZONES]: the price each waits for, nearest last
    slot: IntArray  # [2, MOST_ZONES]: where the zone is
    price: FloatArray  # [2, MOST_ZONES, 3]: NEAR … FAR
    info: IntArray  # [2, MOST_ZONES, 5]: KIND_ … BORN
    failed_price: FloatArray  # [2, FAILED, 2]: invalidated blocks that wait for the opposite break
    failed_info: IntArray  # [2, FAILED, 2]: event id and base bar of the block
    failed: IntArray  # [2]
    united: FloatArray  # [2, 2]: low and high of the open gap that a new one may join; NaN for none
    members: IntArray  # [2]: gaps in it


class Way(NamedTuple):
    """One bar as the zones of one side see it."""

    way: int  # -1 towards bullish zones, +1 towards bearish ones
    t: int
    now: int
    reach: float  # the extreme times the way
    close: float  # the close times the way


def new_zones(most: int) -> Zones:
    """No zones, and leave to remember `most` a side."""
    return Zones(
        np.full(2, np.inf),
        np.full(2, NEVER),
        np.array([0, 0, most]),
        np.zeros((2, MOST_ZONES)),
        np.array([np.arange(MOST_ZONES)] * 2),
        np.zeros((2, MOST_ZONES, 3)),
        np.zeros((2, MOST_ZONES, 5), np.int64),
        np.zeros((2, FAILED, 2)),
        np.zeros((2, FAILED, 2), np.int64),
        np.zeros(2, np.int64),
        np.full((2, 2), np.nan),
        np.zeros(2, np.int64),
    )


@inlined
def put(zones: Zones, row: int, place: int, trigger: float, slot: int) -> None:
    """Put a slot into the sorted list of those before `place`, which may be overwritten."""
    triggers = zones.trigger
    slots = zones.slot
    while place > 0 and triggers[row, place - 1] < trigger:
        triggers[row, place] = triggers[row, place - 1]
        slots[row, place] = slots[row, place - 1]
        place -= 1
    triggers[row, place] = trigger
    slots[row, place] = slot


@inlined
def refresh_near(zones: Zones, row: int) -> None:
    """Keep the guard equal to the nearest trigger."""
    size = zones.size[row]
    zones.near[row] = zones.trigger[row, size - 1] if size > 0 else np.inf


@kernel
def part_united(zones: Zones, row: int, slot: int) -> None:
    """Forget the gap to unite with when the zone that bears its far edge is filled or forgotten."""
    way = 1 - 2 * row
    if way * zones.price[row, slot, FAR] == zones.united[row, 1 - row]:
        zones.united[row, 0] = np.nan
        zones.united[row, 1] = np.nan


@kernel
def forget(zones: Zones, events: EventBuffer, row: int, place: int, now: int) -> None:
    """Emit that a zone expires, and drop it."""
    slot = zones.slot[row, place]
    way = 1 - 2 * row
    near = way * zones.price[row, slot, NEAR]
    far = way * zones.price[row, slot, FAR]
    label = zones.info[row, slot, LABEL_]
    emit(
        events, EXPIRED, -way, label, now, label, zones.info[row, slot, ID_], 1, near,
        min(near, far), max(near, far),
    )  # fmt: skip
    if zones.info[row, slot, KIND_] == FVG and zones.info[row, slot, STAGE] < FILLED:
        part_united(zones, row, slot)
    last = zones.size[row] - 1
    for i in range(place, last):
        zones.trigger[row, i] = zones.trigger[row, i + 1]
        zones.slot[row, i] = zones.slot[row, i + 1]
    zones.slot[row, last] = slot
    zones.size[row] = last


@kernel
def expire(zones: Zones, events: EventBuffer, row: int, t: int, now: int, expiry_bars: int) -> None:
    """Drop the zones of a side that are too old, and find when the next one will be."""
    place = 0
    due = NEVER
    while place < zones.size[row]:
        end = zones.info[row, zones.slot[row, place], BORN] + expiry_bars
        if t > end:
            forget(zones, events, row, place, now)
        else:
            due = min(due, end + 1)
            place += 1
    zones.due[row] = due
    refresh_near(zones, row)


@kernel
def forget_oldest(zones: Zones, events: EventBuffer, row: int, now: int) -> None:
    """Let the zone expire that became known first."""
    oldest = 0
    first = zones.info[row, zones.slot[row, 0], ID_]
    for i in range(1, zones.size[row]):
        identity = zones.info[row, zones.slot[row, i], ID_]
        if identity < first:
            oldest = i
            first = identity
    forget(zones, events, row, oldest, now)


@kernel
def add_zone(
    zones: Zones, events: EventBuffer, side: int, t: int, now: int, kind: int, identity: int,
    label: int, low: float, high: float, mitigation: int, expiry_bars: int,
) -> None:  # fmt: skip
    """Start to watch a zone of `side`; the oldest expires when the side is full."""
    row = (side + 1) >> 1
    way = -side
    if zones.size[row] == zones.size[LIMIT]:
        forget_oldest(zones, events, row, now)
    near = way * (high if side > 0 else low)
    far = way * (low if side > 0 else high)
    size = zones.size[row]
    slot = zones.slot[row, size]
    price = zones.price
    price[row, slot, NEAR] = near
    price[row, slot, MIDDLE] = near if kind == OB and mitigation == 0 else 0.5 * (near + far)
    price[row, slot, FAR] = far
    info = zones.info
    info[row, slot, KIND_] = kind
    info[row, slot, STAGE] = FRESH
    info[row, slot, ID_] = identity
    info[row, slot, LABEL_] = label
    info[row, slot, BORN] = t
    put(zones, row, size, near, slot)
    zones.size[row] = size + 1
    if expiry_bars > 0:
        zones.due[row] = min(zones.due[row], t + expiry_bars + 1)
    refresh_near(zones, row)


@kernel
def say(
    zones: Zones, events: EventBuffer, bar: Way, row: int, slot: int, kind: int,
    column: int,
) -> None:  # fmt: skip
    """Emit that price reached one of a zone's prices."""
    near = bar.way * zones.price[row, slot, NEAR]
    far = bar.way * zones.price[row, slot, FAR]
    emit(
        events, kind, -bar.way, bar.now, bar.now, zones.info[row, slot, LABEL_],
        zones.info[row, slot, ID_], 1, bar.way * zones.price[row, slot, column],
        min(near, far), max(near, far),
    )  # fmt: skip


@inlined
def advance_gap(
    zones: Zones, events: EventBuffer, bar: Way, row: int, slot: int,
    fill_close: bool, inverse: bool,
) -> int:  # fmt: skip
    """How far price has come into a gap, with an event for each step."""
    stage = zones.info[row, slot, STAGE]
    reach = bar.close if fill_close else bar.reach
    price = zones.price
    if stage == FRESH and reach >= price[row, slot, NEAR]:
        say(zones, events, bar, row, slot, FVG_TOUCHED, NEAR)
        stage = TOUCHED
    if stage == TOUCHED and reach >= price[row, slot, MIDDLE]:
        say(zones, events, bar, row, slot, FVG_HALF, MIDDLE)
        stage = HALF
    if stage == HALF and reach >= price[row, slot, FAR]:
        say(zones, events, bar, row, slot, FVG_FILLED, FAR)
        part_united(zones, row, slot)
        stage = FILLED if inverse else ENDED
    if stage == FILLED and bar.close > price[row, slot, FAR]:
        say(zones, events, bar, row, slot, FVG_INVERSE, FAR)
        stage = ENDED
    return int(stage)


@inlined
def advance_block(
    zones: Zones, events: EventBuffer, bar: Way, row: int, slot: int,
    mitigation: int, wick_ends: bool,
) -> int:  # fmt: skip
    """How far price has come into a block, with an event for each step."""
    stage = zones.info[row, slot, STAGE]
    order_block = zones.info[row, slot, KIND_] == OB
    price = zones.price
    if stage == FRESH and bar.reach >= price[row, slot, NEAR]:
        say(
            zones, events, bar, row, slot, (OB_TOUCHED if order_block else
            BLOCK_TOUCHED), NEAR,
        )  # fmt: skip
        stage = TOUCHED if order_block and mitigation < 2 else FILLED
    if stage == TOUCHED and bar.reach >= price[row, slot, MIDDLE]:
        say(zones, events, bar, row, slot, OB_MITIGATED, MIDDLE)
        stage = FILLED
    beyond = bar.reach if wick_ends and order_block else bar.close
    if beyond > price[row, slot, FAR]:
        if order_block:
            if mitigation == 2:
                say(zones, events, bar, row, slot, OB_MITIGATED, FAR)
            say(zones, events, bar, row, slot, OB_INVALIDATED, FAR)
        else:
            say(zones, events, bar, row, slot, BLOCK_INVALIDATED, FAR)
        stage = ENDED
    return int(stage)


@kernel
def remember_failed(zones: Zones, row: int, slot: int) -> None:
    """Keep an invalidated block until the opposite break; the oldest makes room."""
    count = zones.failed[row]
    if count == FAILED:
        for i in range(count - 1):
            for column in range(2):
                zones.failed_price[row, i, column] = zones.failed_price[row, i + 1, column]
                zones.failed_info[row, i, column] = zones.failed_info[row, i + 1, column]
        count -= 1
    way = 1 - 2 * row
    near = way * zones.price[row, slot, NEAR]
    far = way * zones.price[row, slot, FAR]
    zones.failed_price[row, count, 0] = min(near, far)
    zones.failed_price[row, count, 1] = max(near, far)
    zones.failed_info[row, count, 0] = zones.info[row, slot, ID_]
    zones.failed_info[row, count, 1] = zones.info[row, slot, LABEL_]
    zones.failed[row] = count + 1


@inlined
def visit(
    zones: Zones, events: EventBuffer, bar: Way, fill_close: bool, inverse: bool, mitigation: int,
    wick_ends: bool, breakers: bool,
) -> None:  # fmt: skip
    """Hold a bar against every zone it reaches on one side, nearest first."""
    row = (1 - bar.way) >> 1
    size = zones.size[row]
    place = size - 1
    while place >= 0 and bar.reach >= zones.trigger[row, place]:
        slot = zones.slot[row, place]
        if zones.info[row, slot, KIND_] == FVG:
            stage = advance_gap(zones, events, bar, row, slot, fill_close, inverse)
        else:
            stage = advance_block(zones, events, bar, row, slot, mitigation, wick_ends)
        zones.info[row, slot, STAGE] = stage
        if stage == ENDED:
            if breakers and zones.info[row, slot, KIND_] == OB:
                remember_failed(zones, row, slot)
            if place == size - 1:
                size = place
        else:
            column = NEAR if stage == FRESH else MIDDLE if stage == TOUCHED else FAR
            zones.trigger[row, place] = zones.price[row, slot, column]
        place -= 1
    zones.size[row] = size
    if place + 1 < size:
        sort_again(zones, row, place + 1)
    refresh_near(zones, row)


@kernel
def sort_again(zones: Zones, row: int, first: int) -> None:
    """Free the ended zones from place `first` on and sort the others in."""
    slots = zones.slot
    kept = first
    for i in range(first, zones.size[row]):
        slot = slots[row, i]
        if zones.info[row, slot, STAGE] != ENDED:
            slots[row, i] = slots[row, kept]
            put(zones, row, kept, zones.trigger[row, i], slot)
            kept += 1
    zones.size[row] = kept
