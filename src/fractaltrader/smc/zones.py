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

# The price a zone waits for, its edges as price meets them, and what mitigates it.
TRIGGER, NEAR, MIDDLE, FAR = range(4)
# FVG, OB or (for breakers and mitigation blocks) BLOCK; how far price came; event id; base bar it
# comes from; own bar number at which it became known.
KIND_, STAGE, ID_, LABEL_, BORN = range(5)
BLOCK = 0
FRESH, TOUCHED, HALF, FILLED, ENDED = range(5)
NEVER = 1 << 62
LIMIT = 2
MOST_ZONES = 64


class Zones(NamedTuple):
    """Row 0 is bearish zones, row 1 bullish."""

    near: FloatArray  # [2]: the nearest price a zone waits for; inf when there is none
    due: IntArray  # [2]: no zone expires before this own bar
    size: IntArray  # [3]: zones a side, and the most it may remember
    price: FloatArray  # [2, MOST_ZONES + 1, 4]: TRIGGER … FAR; the last is a place to hold one
    info: IntArray  # [2, MOST_ZONES + 1, 5]: KIND_ … BORN
    failed_price: FloatArray  # [2, FAILED, 2]: invalidated blocks that wait for the opposite break
    failed_info: IntArray  # [2, FAILED, 2]: event id and base bar of the block
    failed: IntArray  # [2]
    united: FloatArray  # [2, 2]: low and high of the open gap that a new one may join; NaN for none
    members: IntArray  # [2]: gaps in it


FAILED = 8  # the newest invalidated blocks of a side that may still become breakers


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
        np.zeros((2, MOST_ZONES + 1, 4)),
        np.zeros((2, MOST_ZONES + 1, 5), np.int64),
        np.zeros((2, FAILED, 2)),
        np.zeros((2, FAILED, 2), np.int64),
        np.zeros(2, np.int64),
        np.full((2, 2), np.nan),
        np.zeros(2, np.int64),
    )


@kernel
def copy_zone(zones: Zones, row: int, source: int, place: int) -> None:
    """Copy one zone's columns within a side."""
    for column in range(4):
        zones.price[row, place, column] = zones.price[row, source, column]
    for column in range(5):
        zones.info[row, place, column] = zones.info[row, source, column]


@kernel
def refresh_near(zones: Zones, row: int) -> None:
    """Keep the guard equal to the last zone's trigger."""
    size = zones.size[row]
    zones.near[row] = zones.price[row, size - 1, TRIGGER] if size > 0 else np.inf


@kernel
def part_united(zones: Zones, row: int, place: int) -> None:
    """Forget the gap to unite with when the zone that bears its far edge is filled or forgotten."""
    way = 1 - 2 * row
    if way * zones.price[row, place, FAR] == zones.united[row, 1 - row]:
        zones.united[row, 0] = np.nan
        zones.united[row, 1] = np.nan


@kernel
def forget(zones: Zones, events: EventBuffer, row: int, place: int, now: int) -> None:
    """Emit that a zone expires, and drop it."""
    way = 1 - 2 * row
    near = way * zones.price[row, place, NEAR]
    far = way * zones.price[row, place, FAR]
    label = zones.info[row, place, LABEL_]
    emit(
        events, EXPIRED, -way, label, now, label, zones.info[row, place, ID_], 1,
        near, min(near, far), max(near, far),
    )  # fmt: skip
    part_united(zones, row, place)
    zones.size[row] -= 1
    for i in range(place, zones.size[row]):
        copy_zone(zones, row, i + 1, i)


@kernel
def expire(
    zones: Zones, events: EventBuffer, row: int, t: int, now: int,
    expiry_bars: int,
) -> None:  # fmt: skip
    """Drop the zones of a side that are too old, and find when the next one will be."""
    place = 0
    due = NEVER
    while place < zones.size[row]:
        end = zones.info[row, place, BORN] + expiry_bars
        if t > end:
            forget(zones, events, row, place, now)
        else:
            due = min(due, end + 1)
            place += 1
    zones.due[row] = due
    refresh_near(zones, row)


@kernel
def add_zone(
    zones: Zones, events: EventBuffer, side: int, t: int, now: int,
    kind: int, identity: int, label: int, low: float, high: float, mitigation: int,
    expiry_bars: int,
) -> None:  # fmt: skip
    """Start to watch a zone of `side`; the oldest expires when the side is full."""
    row = (side + 1) >> 1
    way = -side
    if zones.size[row] == zones.size[LIMIT]:
        oldest = 0
        for i in range(1, zones.size[row]):
            if zones.info[row, i, ID_] < zones.info[row, oldest, ID_]:
                oldest = i
        forget(zones, events, row, oldest, now)
    near = way * (high if side > 0 else low)
    far = way * (low if side > 0 else high)
    place = zones.size[row]
    while place > 0 and zones.price[row, place - 1, TRIGGER] < near:
        copy_zone(zones, row, place - 1, place)
        place -= 1
    zones.price[row, place, TRIGGER] = near
    zones.price[row, place, NEAR] = near
    zones.price[row, place, MIDDLE] = 0.5 * (near + far)
    if kind == OB and mitigation == 0:
        zones.price[row, place, MIDDLE] = near
    zones.price[row, place, FAR] = far
    zones.info[row, place, KIND_] = kind
    zones.info[row, place, STAGE] = FRESH
    zones.info[row, place, ID_] = identity
    zones.info[row, place, LABEL_] = label
    zones.info[row, place, BORN] = t
    zones.size[row] += 1
    if expiry_bars > 0:
        zones.due[row] = min(zones.due[row], t + expiry_bars + 1)
    refresh_near(zones, row)


@kernel
def say(
    zones: Zones, events: EventBuffer, bar: Way, row: int, place: int, kind: int,
    column: int,
) -> None:  # fmt: skip
    """Emit that price reached one of a zone's prices."""
    near = bar.way * zones.price[row, place, NEAR]
    far = bar.way * zones.price[row, place, FAR]
    emit(
        events, kind, -bar.way, bar.now, bar.now, zones.info[row, place, LABEL_],
        zones.info[row, place, ID_], 1, bar.way * zones.price[row, place, column],
        min(near, far), max(near, far),
    )  # fmt: skip


@inlined
def advance_gap(
    zones: Zones, events: EventBuffer, bar: Way, row: int, place: int,
    fill_close: bool, inverse: bool,
) -> int:  # fmt: skip
    """How far price has come into a gap, with an event for each step."""
    stage = zones.info[row, place, STAGE]
    reach = bar.close if fill_close else bar.reach
    price = zones.price
    if stage == FRESH and reach >= price[row, place, NEAR]:
        say(zones, events, bar, row, place, FVG_TOUCHED, NEAR)
        stage = TOUCHED
    if stage == TOUCHED and reach >= price[row, place, MIDDLE]:
        say(zones, events, bar, row, place, FVG_HALF, MIDDLE)
        stage = HALF
    if stage == HALF and reach >= price[row, place, FAR]:
        say(zones, events, bar, row, place, FVG_FILLED, FAR)
        part_united(zones, row, place)
        stage = FILLED if inverse else ENDED
    if stage == FILLED and bar.close > price[row, place, FAR]:
        say(zones, events, bar, row, place, FVG_INVERSE, FAR)
        stage = ENDED
    return int(stage)


@inlined
def advance_block(
    zones: Zones, events: EventBuffer, bar: Way, row: int, place: int,
    mitigation: int, wick_ends: bool,
) -> int:  # fmt: skip
    """How far price has come into a block, with an event for each step."""
    stage = zones.info[row, place, STAGE]
    order_block = zones.info[row, place, KIND_] == OB
    price = zones.price
    if stage == FRESH and bar.reach >= price[row, place, NEAR]:
        say(
            zones, events, bar, row, place, (OB_TOUCHED if order_block else
            BLOCK_TOUCHED), NEAR,
        )  # fmt: skip
        stage = TOUCHED if order_block and mitigation < 2 else FILLED
    if stage == TOUCHED and bar.reach >= price[row, place, MIDDLE]:
        say(zones, events, bar, row, place, OB_MITIGATED, MIDDLE)
        stage = FILLED
    beyond = bar.reach if wick_ends and order_block else bar.close
    if beyond > price[row, place, FAR]:
        if order_block:
            if mitigation == 2:
                say(zones, events, bar, row, place, OB_MITIGATED, FAR)
            say(zones, events, bar, row, place, OB_INVALIDATED, FAR)
        else:
            say(zones, events, bar, row, place, BLOCK_INVALIDATED, FAR)
        stage = ENDED
    return int(stage)


@kernel
def remember_failed(zones: Zones, row: int, place: int) -> None:
    """Keep an invalidated block until the opposite break; the oldest makes room."""
    count = zones.failed[row]
    if count == FAILED:
        for i in range(count - 1):
            for column in range(2):
                zones.failed_price[row, i, column] = zones.failed_price[row, i + 1, column]
                zones.failed_info[row, i, column] = zones.failed_info[row, i + 1, column]
        count -= 1
    way = 1 - 2 * row
    near = way * zones.price[row, place, NEAR]
    far = way * zones.price[row, place, FAR]
    zones.failed_price[row, count, 0] = min(near, far)
    zones.failed_price[row, count, 1] = max(near, far)
    zones.failed_info[row, count, 0] = zones.info[row, place, ID_]
    zones.failed_info[row, count, 1] = zones.info[row, place, LABEL_]
    zones.failed[row] = count + 1


@inlined
def visit(
    zones: Zones, events: EventBuffer, bar: Way, fill_close: bool,
    inverse: bool, mitigation: int, wick_ends: bool, breakers: bool,
) -> None:  # fmt: skip
    """Hold a bar against every zone it reaches on one side, nearest first."""
    row = (1 - bar.way) >> 1
    size = zones.size[row]
    place = size - 1
    while place >= 0 and bar.reach >= zones.price[row, place, TRIGGER]:
        if zones.info[row, place, KIND_] == FVG:
            stage = advance_gap(
                zones, events, bar, row, place, fill_close, inverse
            )  # fmt: skip
        else:
            stage = advance_block(
                zones, events, bar, row, place, mitigation, wick_ends
            )  # fmt: skip
        zones.info[row, place, STAGE] = stage
        if stage == ENDED:
            if breakers and zones.info[row, place, KIND_] == OB:
                remember_failed(zones, row, place)
            if place == size - 1:
                size = place
        else:
            column = NEAR if stage == FRESH else MIDDLE if stage == TOUCHED else FAR
            zones.price[row, place, TRIGGER] = zones.price[row, place, column]
        place -= 1
    zones.size[row] = size
    if place + 1 < size:
        settle_order(zones, row, place + 1)
    refresh_near(zones, row)


@inlined
def settle_order(zones: Zones, row: int, first: int) -> None:
    """Drop the ended zones from `first` on and sort the others in, nearest last."""
    size = zones.size[row]
    spare = MOST_ZONES
    kept = first
    for i in range(first, size):
        if zones.info[row, i, STAGE] != ENDED:
            if kept != i:
                copy_zone(zones, row, i, kept)
            kept += 1
    zones.size[row] = kept
    for i in range(first, kept):
        place = i
        trigger = zones.price[row, i, TRIGGER]
        if place == 0 or zones.price[row, place - 1, TRIGGER] >= trigger:
            continue
        copy_zone(zones, row, i, spare)
        while place > 0 and zones.price[row, place - 1, TRIGGER] < trigger:
            copy_zone(zones, row, place - 1, place)
            place -= 1
        copy_zone(zones, row, spare, place)
