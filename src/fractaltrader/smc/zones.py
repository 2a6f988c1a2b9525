"""Zones: gaps and blocks that wait for price to come back.

A bullish zone lies below price and waits for lows, a bearish one above and waits for highs. Prices
are kept times the way price comes (-1 towards bullish zones, +1 towards bearish ones), so that
"reached" is always "at least". A zone goes through stages, each with a price that ends it and the
event that this is. Zones are sorted by the price they wait for, the nearest last: a bar that does
not reach it touches no other.
"""

from typing import NamedTuple

import numpy as np

from fractaltrader.smc.clauses import EngineConfig
from fractaltrader.smc.events import (
    EXPIRED,
    FVG_TOUCHED,
    OB_TOUCHED,
    EventBuffer,
    FloatArray,
    IntArray,
    emit,
)
from fractaltrader.smc.kernel import inlined, kernel, nth

# Columns of `price`: what each stage waits for, as price meets it; the zone's edges as they are.
NEAR, SECOND, FAR, AFTER, BOTTOM, TOP = range(6)
# Columns of `info`: kind of the first stage's event, which tells gaps, order blocks and turned
# blocks apart (the other stages' kinds follow it); its stage; the first that only a close beyond
# its price ends; the last; event id; base bar it comes from; own bar at which it became known.
FIRST_KIND, STAGE, FIRM, LAST, ID_, LABEL_, BORN = range(7)
WIDTH = 8  # of their rows: a cache line
NEVER = 1 << 62
LIMIT = 2
MOST_ZONES = 64
FAILED = 8  # the newest invalidated blocks of a side that may still become breakers


class Zones(NamedTuple):
    """Row 0 is bearish zones, row 1 bullish.

    A zone keeps its slot while it lives; what is sorted is the list of slots, from place 1: at
    place 0 waits nothing for infinity. The slots behind the `size` of a list are free.
    """

    near: FloatArray  # [2]: the nearest price a zone waits for; inf when there is none
    due: IntArray  # [2]: no zone expires before this own bar
    size: IntArray  # [3]: zones a side, and the most it may remember
    trigger: FloatArray  # [2, 1 + MOST_ZONES]: the price each waits for, nearest last
    slot: IntArray  # [2, 1 + MOST_ZONES]: where the zone is
    price: FloatArray  # [2, MOST_ZONES, WIDTH]: NEAR … TOP
    info: IntArray  # [2, MOST_ZONES, WIDTH]: FIRST_KIND … BORN
    failed_price: FloatArray  # [2, FAILED, 2]: invalidated blocks that wait for the opposite break
    failed_info: IntArray  # [2, FAILED, 2]: event id and base bar of the block
    failed: IntArray  # [2]
    united: FloatArray  # [2, 2]: low and high of the open gap that a new one may join; NaN for none
    members: IntArray  # [2]: gaps in it


def new_zones(most: int) -> Zones:
    """No zones, and leave to remember `most` a side."""
    return Zones(
        np.full(2, np.inf),
        np.full(2, NEVER),
        np.array([0, 0, most]),
        np.full((2, 1 + MOST_ZONES), np.inf),
        np.array([np.arange(-1, MOST_ZONES)] * 2),
        np.zeros((2, MOST_ZONES, WIDTH)),
        np.zeros((2, MOST_ZONES, WIDTH), np.int64),
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
    before = nth(place - 1)
    while triggers[row, before] < trigger:
        triggers[row, place] = triggers[row, before]
        slots[row, place] = slots[row, before]
        place = before
        before = nth(place - 1)
    triggers[row, place] = trigger
    slots[row, place] = slot


@inlined
def refresh_near(zones: Zones, row: int) -> None:
    """Keep the guard equal to the nearest trigger."""
    zones.near[row] = zones.trigger[row, nth(zones.size[row])]


@inlined
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
    price = zones.price
    info = zones.info
    label = info[row, slot, LABEL_]
    emit(
        events, EXPIRED, -way, label, now, label, info[row, slot, ID_], 1,
        way * price[row, slot, NEAR], price[row, slot, BOTTOM], price[row, slot, TOP],
    )  # fmt: skip
    if info[row, slot, FIRST_KIND] == FVG_TOUCHED and info[row, slot, STAGE] <= FAR:
        part_united(zones, row, slot)
    last = zones.size[row]
    for i in range(place, last):
        zones.trigger[row, i] = zones.trigger[row, i + 1]
        zones.slot[row, i] = zones.slot[row, i + 1]
    zones.slot[row, last] = slot
    zones.size[row] = last - 1


@kernel
def expire(zones: Zones, events: EventBuffer, row: int, t: int, now: int, expiry_bars: int) -> None:
    """Drop the zones of a side that are too old, and find when the next one will be."""
    place = 1
    due = NEVER
    while place <= zones.size[row]:
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
    oldest = 1
    first = zones.info[row, zones.slot[row, 1], ID_]
    for i in range(2, zones.size[row] + 1):
        identity = zones.info[row, zones.slot[row, i], ID_]
        if identity < first:
            oldest = i
            first = identity
    forget(zones, events, row, oldest, now)


@kernel
def add_zone(
    zones: Zones, events: EventBuffer, side: int, t: int, now: int, first_kind: int, firm: int,
    last: int, second: float, identity: int, label: int, low: float, high: float,
    expiry_bars: int,
) -> None:  # fmt: skip
    """Start to watch a zone of `side`; the oldest expires when the side is full.

    Its first stage ends at the near edge, the second at the price `second`, all others at the far
    edge: by a wick that reaches it or, from stage `firm` on, by a close beyond it.
    """
    row = nth((side + 1) >> 1)
    way = -side
    if zones.size[row] == zones.size[LIMIT]:
        forget_oldest(zones, events, row, now)
    near = min(way * low, way * high)
    far = max(way * low, way * high)
    size = nth(zones.size[row] + 1)
    slot = nth(zones.slot[row, size])
    price = zones.price
    price[row, slot, NEAR] = near
    price[row, slot, SECOND] = way * second
    price[row, slot, FAR] = far
    price[row, slot, AFTER] = far
    price[row, slot, BOTTOM] = low
    price[row, slot, TOP] = high
    info = zones.info
    info[row, slot, FIRST_KIND] = first_kind
    info[row, slot, STAGE] = 0
    info[row, slot, FIRM] = firm
    info[row, slot, LAST] = last
    info[row, slot, ID_] = identity
    info[row, slot, LABEL_] = label
    info[row, slot, BORN] = t
    put(zones, row, size, near, slot)
    zones.size[row] = size
    if expiry_bars > 0:
        zones.due[row] = min(zones.due[row], t + expiry_bars + 1)
    refresh_near(zones, row)


@inlined
def advance(
    zones: Zones, events: EventBuffer, side: int, now: int, row: int, slot: int, touch: float,
    beyond: float,
) -> int:  # fmt: skip
    """Take a zone through the stages that a bar ends, with an event for each; the next stage.

    A wick has come as far as `touch`, what ends a firm stage as far as `beyond`.
    """
    price = zones.price
    info = zones.info
    kind = info[row, slot, FIRST_KIND]
    before = info[row, slot, STAGE]
    firm = info[row, slot, FIRM]
    last = info[row, slot, LAST]
    stage = before
    while stage <= last:
        level = price[row, slot, nth(stage)]
        met = touch >= level if stage < firm else beyond > level
        if not met:
            break
        emit(
            events, kind + stage, side, now, now, info[row, slot, LABEL_], info[row, slot, ID_], 1,
            -side * level, price[row, slot, BOTTOM], price[row, slot, TOP],
        )  # fmt: skip
        stage += 1
    info[row, slot, STAGE] = stage
    if (kind == FVG_TOUCHED) & (before <= FAR) & (stage > FAR):
        part_united(zones, row, slot)
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
    zones.failed_price[row, count, 0] = zones.price[row, slot, BOTTOM]
    zones.failed_price[row, count, 1] = zones.price[row, slot, TOP]
    zones.failed_info[row, count, 0] = zones.info[row, slot, ID_]
    zones.failed_info[row, count, 1] = zones.info[row, slot, LABEL_]
    zones.failed[row] = count + 1


@inlined
def visit(
    config: EngineConfig, zones: Zones, events: EventBuffer, side: int, now: int, extreme: float,
    close: float,
) -> None:  # fmt: skip
    """Hold a bar against every zone of a side that its extreme reaches, nearest first."""
    row = (side + 1) >> 1
    reach = -side * extreme
    firm = -side * close
    gap_touch = firm if config.fvg_fill_close else reach
    block_end = reach if config.block_wick_invalidates else firm
    triggers = zones.trigger
    size = nth(zones.size[row])
    place = size
    ended = 0
    while reach >= triggers[row, place]:
        slot = nth(zones.slot[row, place])
        kind = zones.info[row, slot, FIRST_KIND]
        touch = gap_touch if kind == FVG_TOUCHED else reach
        beyond = block_end if kind == OB_TOUCHED else firm
        stage = advance(zones, events, side, now, row, slot, touch, beyond)
        if stage > zones.info[row, slot, LAST]:
            ended += 1
            triggers[row, place] = -np.inf  # sorted behind all others
            if config.breakers and kind == OB_TOUCHED:
                remember_failed(zones, row, slot)
        else:
            triggers[row, place] = zones.price[row, slot, nth(stage)]
        place = nth(place - 1)
    while place < size:
        place = nth(place + 1)
        put(zones, row, place, triggers[row, place], zones.slot[row, place])
    zones.size[row] = size - ended
    refresh_near(zones, row)
