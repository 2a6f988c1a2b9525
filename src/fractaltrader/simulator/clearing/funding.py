"""Hourly funding: the rate from the hour's premium, and who pays whom (hyperliquid.md 7.7)."""

from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal
from typing import Any

from fractaltrader.simulator.clearing import portfolio
from fractaltrader.simulator.core import Core
from fractaltrader.simulator.numbers import MICRO, ZERO, venue_number
from fractaltrader.simulator.state import Account, FundingPayment, FundingRate

HOUR_MS = 3_600_000
RATES_KEPT = 5_000
PAYMENTS_KEPT = 5_000
INTEREST = Decimal("0.0001")
CLAMP = Decimal("0.0005")
CAP = Decimal("0.04")
STEP = Decimal("0.0000000001")


def hourly_rate(premium: Decimal) -> Decimal:
    """(P + clamp(0.0001 - P, -0.0005, 0.0005)) / 8, within 4 % an hour either way."""
    eight_hours = premium + max(min(INTEREST - premium, CLAMP), -CLAMP)
    rate = max(min(eight_hours / 8, CAP), -CAP)
    return rate.quantize(STEP, ROUND_HALF_EVEN)


def average_premium(core: Core, coin: str) -> Decimal:
    """The premium of this hour so far, averaged over time."""
    kept = core.state.markets[coin].prices
    if not kept.sampled_ms:
        return ZERO
    return Decimal(kept.premium_ms / kept.sampled_ms).quantize(STEP, ROUND_HALF_EVEN)


def predicted_rate(core: Core, coin: str) -> Decimal:
    """The rate that the next payment would have if the premium stayed as it was on average."""
    return hourly_rate(average_premium(core, coin))


def next_hour(time_ms: int) -> int:
    """The first full hour after `time_ms`."""
    return (time_ms // HOUR_MS + 1) * HOUR_MS


def begin(core: Core) -> None:
    """Start the hours when the first price is known."""
    if not core.state.funding_due_ms:
        core.state.funding_due_ms = _block_after(core, next_hour(core.now_ms()))


def _block_after(core: Core, hour_ms: int) -> int:
    """Payments appear tens of milliseconds after the hour, in the block that closes it."""
    return hour_ms + 10 + (hour_ms // HOUR_MS * 37 + core.state.seed * 11) % 80


def next_due(core: Core) -> int | None:
    """When funding is paid next, UTC epoch ms."""
    return core.state.funding_due_ms or None


def run(core: Core) -> None:
    """Charge every position of every coin, and note what accounts are worth."""
    now = core.now_ms()
    for coin, market in core.state.markets.items():
        if market.mid is None:
            continue
        premium = average_premium(core, coin)
        rate = hourly_rate(premium)
        market.funding.append(FundingRate(now, rate, premium))
        del market.funding[:-RATES_KEPT]
        market.prices.premium_ms, market.prices.sampled_ms = 0.0, 0
        _charge(core, coin, rate, now)
    portfolio.sample_all(core)
    core.state.funding_due_ms = _block_after(core, next_hour(now))


def _charge(core: Core, coin: str, rate: Decimal, now: int) -> None:
    """Longs pay size x oracle x rate, shorts receive it; roundings stay in the pool."""
    oracle = core.oracle(coin)
    for user in sorted(core.holders[coin]):
        account = core.holders[coin][user]
        position = account.positions[coin]
        usd = (-position.size * oracle * rate).quantize(MICRO, ROUND_DOWN)
        account.cash += usd
        core.state.funding_pool -= usd
        if position.isolated is not None:
            position.isolated += usd
        position.funding_since_open -= usd
        position.funding_since_change -= usd
        account.funding_paid[coin] = account.funding_paid.get(coin, ZERO) - usd
        if user in core.state.accounts:
            _tell(core, account, FundingPayment(now, coin, usd, position.size, rate))


def _tell(core: Core, account: Account, payment: FundingPayment) -> None:
    account.fundings.append(payment)
    del account.fundings[:-PAYMENTS_KEPT]
    view = {"time": payment.time_ms} | payment_view(payment)
    core.outbox.fundings.setdefault(account.address, []).append(view)
    core.tell_user(account.address, {"funding": view})


def payment_view(payment: FundingPayment) -> dict[str, Any]:
    """A payment as streams and `userFunding` show it, without its time."""
    return {
        "coin": payment.coin,
        "usdc": venue_number(payment.usdc),
        "szi": venue_number(payment.size),
        "fundingRate": venue_number(payment.rate),
        "nSamples": None,
    }
