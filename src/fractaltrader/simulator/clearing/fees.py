"""Fee rates: volume tiers, maker rebates and discounts (hyperliquid.md 7.8).

A user's rates are assessed once a UTC day from the fourteen days before it, as the venue does.
"""

from decimal import Decimal
from typing import NamedTuple

from fractaltrader.simulator.clearing.accounts import fee_of
from fractaltrader.simulator.core import Core
from fractaltrader.simulator.numbers import ZERO
from fractaltrader.simulator.state import Account, DayVolume

DAY_MS = 86_400_000
WINDOW_DAYS = 14
DAYS_KEPT = 16
REFERRAL_DISCOUNT = Decimal("0.04")
# A referral's discount ends with this much volume, USDC.
REFERRED_VOLUME = Decimal(25_000_000)


class Tier(NamedTuple):
    """Rates from `cutoff` USDC of weighted 14-day volume on."""

    cutoff: Decimal
    taker: Decimal
    maker: Decimal
    spot_taker: Decimal
    spot_maker: Decimal


def _tier(cutoff: int, *rates: str) -> Tier:
    return Tier(Decimal(cutoff), *map(Decimal, rates))


TIERS = (
    _tier(0, "0.00045", "0.00015", "0.0007", "0.0004"),
    _tier(5_000_000, "0.0004", "0.00012", "0.0006", "0.0003"),
    _tier(25_000_000, "0.00035", "0.00008", "0.0005", "0.0002"),
    _tier(100_000_000, "0.0003", "0.00004", "0.0004", "0.0001"),
    _tier(500_000_000, "0.00028", "0", "0.00035", "0"),
    _tier(2_000_000_000, "0.00026", "0", "0.0003", "0"),
    _tier(7_000_000_000, "0.00024", "0", "0.00025", "0"),
)
# From this share of the venue's maker volume on, makers have this rate.
REBATES = (
    (Decimal("0.005"), Decimal("-0.00001")),
    (Decimal("0.015"), Decimal("-0.00002")),
    (Decimal("0.03"), Decimal("-0.00003")),
)
# Staked share of the maximum supply in basis points, and the discount it earns.
STAKING_TIERS = tuple(
    (Decimal(share), Decimal(discount))
    for share, discount in (
        ("0", "0"),
        ("0.0001", "0.05"),
        ("0.001", "0.1"),
        ("0.01", "0.15"),
        ("0.1", "0.2"),
        ("1", "0.3"),
        ("5", "0.4"),
    )
)


def day_of(time_ms: int) -> int:
    """UTC days since 1970."""
    return time_ms // DAY_MS


def charge(core: Core, account: Account, notional: Decimal, *, crossed: bool) -> Decimal:
    """Collect the fee of one side of an execution of `notional` USDC, which counts towards the
    day's volumes; the fee (below zero: a rebate), which `accounts.execute` takes off the cash."""
    fee = fee_of(notional, rate_of(core, account, crossed=crossed))
    core.state.fees_collected += fee
    today = core.now_ms() // DAY_MS
    for days in (account.days, core.state.days):
        volume = days.get(today)
        if volume is None:
            volume = _begin_day(days, today)
        if crossed:
            volume.taker += notional
        else:
            volume.maker += notional
    return fee


def _begin_day(days: dict[int, DayVolume], today: int) -> DayVolume:
    """The volume of `today`, none yet; days too old to count are forgotten."""
    for old in [day for day in days if day <= today - DAYS_KEPT]:
        del days[old]
    volume = days[today] = DayVolume()
    return volume


def weighted_volume(account: Account, today: int) -> Decimal:
    """Perp volume of the fourteen days before `today`, USDC."""
    return sum((v.taker + v.maker for v in _window(account.days, today)), ZERO)


def _window(days: dict[int, DayVolume], today: int) -> list[DayVolume]:
    return [volume for day, volume in days.items() if today - WINDOW_DAYS <= day < today]


def tier_of(account: Account, today: int) -> Tier:
    """The volume tier on `today`."""
    volume = weighted_volume(account, today)
    return max(tier for tier in TIERS if tier.cutoff == 0 or volume > tier.cutoff)


def _maker_share(core: Core, account: Account, today: int) -> Decimal:
    mine = sum((v.maker for v in _window(account.days, today)), ZERO)
    seen = sum((v.maker for v in _window(core.state.days, today)), ZERO)
    return mine / (seen + WINDOW_DAYS * core.state.rest_of_venue_volume)


def discount_of(account: Account) -> Decimal:
    """The factor that staking and referral leave of a fee."""
    referral = account.referral_discount if account.volume < REFERRED_VOLUME else ZERO
    return (1 - account.staking_discount) * (1 - referral)


def grant_referral(account: Account) -> None:
    """The discount of whoever used a referral code, from the next execution on."""
    account.referral_discount = REFERRAL_DISCOUNT
    account.day = -1


def assess(core: Core, account: Account) -> None:
    """Set the account's rates for today; discounts lower fees and leave rebates alone."""
    today = day_of(core.now_ms())
    tier = tier_of(account, today)
    share = _maker_share(core, account, today)
    rebate = next((rate for cutoff, rate in reversed(REBATES) if share > cutoff), None)
    factor = discount_of(account)
    account.day = today
    account.taker_rate = (tier.taker * factor).normalize()
    account.maker_rate = (tier.maker * factor).normalize() if rebate is None else rebate


def rate_of(core: Core, account: Account, *, crossed: bool) -> Decimal:
    """The account's taker (`crossed`) or maker rate today; below zero is a rebate."""
    if account.day != core.now_ms() // DAY_MS:
        assess(core, account)
    return account.taker_rate if crossed else account.maker_rate
