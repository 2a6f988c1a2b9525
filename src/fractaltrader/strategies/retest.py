"""Retests: a zone is reached and rejects price. Shared by the gap and the order block setups.

An idea begins at the bar that reaches a zone's chosen depth. It becomes a trade at the first of
`confirm_bars` bars, that one included, which closes back out of the zone in its direction. It dies
when none does (expiry), when a close lies beyond the zone's far edge or structure turns against it
(invalidation), or when a newer idea of its side takes its place. There is one idea a side.
"""

from typing import NamedTuple

import numpy as np
from pydantic import Field

from fractaltrader.smc.core import BARS
from fractaltrader.smc.engine import EngineState
from fractaltrader.smc.events import EventBuffer, FloatArray, IntArray
from fractaltrader.smc.kernel import kernel
from fractaltrader.strategies.base import ATR, SIDE
from fractaltrader.strategies.setups import (
    OWN,
    SetupConfig,
    SetupParameters,
    higher_bias,
    place_levels,
)

# `whole`: the zone's event id (NONE: no idea), the bar that reached it, the bar since which the
# zone was known, and one number of the setup's own. `price`: the zone, and the extreme since then.
ZONE_ID, REACHED, BORN, NOTE = range(4)
ZONE_LOW, ZONE_HIGH, EXTREME = range(3)
NONE = -1
(
    RETEST_LOW, RETEST_HIGH, RETEST_AGE, RETEST_BARS, RETEST_EXTREME, RETEST_HEIGHT, RETEST_NOTE,
    WIDTH,
) = range(OWN, OWN + 8)  # fmt: skip


class RetestParameters(SetupParameters):
    """Detection plus the choices of a retest; distances are in ATR at the signal's bar."""

    expiry_bars: int = Field(
        default=50, ge=1, le=10_000, description="age at which an untraded zone is forgotten"
    )
    confirm_bars: int = Field(
        default=3,
        ge=1,
        le=20,
        description="bars to close back out of the zone, the one that reached it included",
    )
    with_structure: bool = Field(
        default=True, description="trade only while structure points the trade's way"
    )


class RetestConfig(NamedTuple):
    """`RetestParameters` as the kernels read them."""

    confirm_bars: int
    with_structure: bool


def retest_config(params: RetestParameters) -> RetestConfig:
    """`params` for the kernels."""
    return RetestConfig(params.confirm_bars, params.with_structure)


class Ideas(NamedTuple):
    """Row 0 is shorts, row 1 longs."""

    whole: IntArray  # [2, 4]: ZONE_ID … NOTE
    price: FloatArray  # [2, 3]: ZONE_LOW … EXTREME


def new_ideas() -> Ideas:
    """No idea on either side."""
    return Ideas(np.full((2, 4), NONE), np.zeros((2, 3)))


@kernel
def reach_zone(
    ideas: Ideas, events: EventBuffer, i: int, t: int, born: int, note: int, high: float, low: float
) -> None:
    """Begin an idea with the event in row `i`, which says that bar `t` reached a zone."""
    side = events.side[i]
    row = (side + 1) >> 1
    ideas.whole[row, ZONE_ID] = events.ref[i]
    ideas.whole[row, REACHED] = t
    ideas.whole[row, BORN] = born
    ideas.whole[row, NOTE] = note
    ideas.price[row, ZONE_LOW] = events.low[i]
    ideas.price[row, ZONE_HIGH] = events.high[i]
    ideas.price[row, EXTREME] = low if side > 0 else high


@kernel
def age_ideas(
    config: RetestConfig, ideas: Ideas, t: int, bias: int, high: float, low: float, close: float
) -> None:
    """Carry the ideas to bar `t`; those that are expired or invalidated die."""
    for row in range(2):
        if ideas.whole[row, ZONE_ID] == NONE:
            continue
        price = ideas.price
        if row == 1:
            price[row, EXTREME] = min(price[row, EXTREME], low)
            through = close < price[row, ZONE_LOW]
        else:
            price[row, EXTREME] = max(price[row, EXTREME], high)
            through = close > price[row, ZONE_HIGH]
        late = t - ideas.whole[row, REACHED] >= config.confirm_bars
        against = config.with_structure and bias != 2 * row - 1
        if through or late or against:
            ideas.whole[row, ZONE_ID] = NONE


@kernel
def confirmed(ideas: Ideas, close: float) -> int:
    """The side whose idea this close confirms, which ends it; 0 for none or for both sides."""
    up = ideas.whole[1, ZONE_ID] != NONE and close > ideas.price[1, ZONE_HIGH]
    down = ideas.whole[0, ZONE_ID] != NONE and close < ideas.price[0, ZONE_LOW]
    if up:
        ideas.whole[1, ZONE_ID] = NONE
    if down:
        ideas.whole[0, ZONE_ID] = NONE
    return int(up) - int(down)


@kernel
def place_retest(
    setup: SetupConfig, engine: EngineState, ideas: Ideas, side: int, close: float,
    record: FloatArray,
) -> bool:  # fmt: skip
    """Levels and facts of a confirmed idea into `record`; False when it cannot be traded.

    The stop lies beyond the zone and beyond every price since it was reached.
    """
    if higher_bias(setup, engine) == -side:
        return False
    row = (side + 1) >> 1
    price = ideas.price
    if side > 0:
        extreme = min(price[row, EXTREME], price[row, ZONE_LOW])
    else:
        extreme = max(price[row, EXTREME], price[row, ZONE_HIGH])
    if not place_levels(setup, engine, side, extreme, close, record):
        return False
    t = engine.cores[0].counters[BARS] - 1
    record[RETEST_LOW] = price[row, ZONE_LOW]
    record[RETEST_HIGH] = price[row, ZONE_HIGH]
    record[RETEST_AGE] = t - ideas.whole[row, BORN]
    record[RETEST_BARS] = t - ideas.whole[row, REACHED]
    record[RETEST_EXTREME] = price[row, EXTREME]
    record[RETEST_HEIGHT] = (price[row, ZONE_HIGH] - price[row, ZONE_LOW]) / record[ATR]
    record[RETEST_NOTE] = ideas.whole[row, NOTE]
    return True


def retest_facts(record: list[float], name: str) -> tuple[str, ...]:
    """What happened at the zone called `name`."""
    long = record[SIDE] > 0
    since = int(record[RETEST_BARS])
    when = "on this bar" if since == 0 else f"{since} bar{'s' if since > 1 else ''} ago"
    near = record[RETEST_HIGH] if long else record[RETEST_LOW]
    return (
        f"{name} {record[RETEST_LOW]:.10g} … {record[RETEST_HIGH]:.10g}, "
        f"{record[RETEST_HEIGHT]:.2f} ATR high, {int(record[RETEST_AGE])} bars old",
        f"reached {when}, down to {record[RETEST_EXTREME]:.10g}" if long else
        f"reached {when}, up to {record[RETEST_EXTREME]:.10g}",
        f"close back {'above' if long else 'below'} it, beyond {near:.10g}",
    )  # fmt: skip
