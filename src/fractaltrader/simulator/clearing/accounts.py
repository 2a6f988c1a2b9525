"""What an execution does to an account, in exact decimals.

Prices have at most 6 - szDecimals decimals and sizes at most szDecimals, so every notional has at
most 6 and all arithmetic here is exact: cash moves by realised profit minus fees and nothing is
lost to rounding.
"""

from decimal import ROUND_HALF_EVEN, Decimal

import msgspec

from fractaltrader.exchange.port import BUY, Side
from fractaltrader.simulator.numbers import MICRO, ZERO, floor_micro
from fractaltrader.simulator.state import Account, Position


class Execution(msgspec.Struct, frozen=True, gc=False):
    """What `execute` did: position before and profit realised (without the fee)."""

    start_position: Decimal
    closed_pnl: Decimal
    side: Side
    size: Decimal

    @property
    def direction(self) -> str:
        """The venue's display text."""
        return direction_of(self.start_position, self.side, self.size)


def fee_of(notional: Decimal, rate: Decimal) -> Decimal:
    """Fee in USDC, floored at 6 decimals (hyperliquid.md 7.10)."""
    return floor_micro(notional * rate)


def signed(side: Side, size: Decimal) -> Decimal:
    """`size` above zero for a buy and below for a sell."""
    return size if side is BUY else -size


def position_size(account: Account, coin: str) -> Decimal:
    """Signed size of the position, zero when flat."""
    position = account.positions.get(coin)
    return position.size if position else ZERO


def reducible(account: Account, coin: str, side: Side) -> Decimal:
    """How much an order of `side` can take off the position; zero when flat or on the same side."""
    position = account.positions.get(coin)
    if position is None:
        return ZERO
    held = -position.size if side is BUY else position.size
    return held if held > ZERO else ZERO


def direction_of(start: Decimal, side: Side, size: Decimal) -> str:
    """The venue's display text for an execution, by the position before it."""
    is_buy = side is BUY
    held = -start if is_buy else start
    if held <= ZERO:
        return "Open Long" if is_buy else "Open Short"
    if size <= held:
        return "Close Short" if is_buy else "Close Long"
    return "Short > Long" if is_buy else "Long > Short"


def execute(
    account: Account, coin: str, side: Side, price: Decimal, size: Decimal, fee: Decimal
) -> Execution:
    """Book an execution: entries average by size, exits realise against the average entry."""
    position = account.positions.get(coin)
    if position is None:
        position = account.positions[coin] = Position()
    start = position.size
    held = -start if side is BUY else start
    closing = min(size, held) if held > ZERO else ZERO
    pnl, notional = ZERO, price * size
    if closing:
        entry = position.entry_notional
        if closing != held:
            share = position.entry_notional * closing / held
            entry = share.quantize(MICRO, rounding=ROUND_HALF_EVEN)
        position.entry_notional -= entry
        pnl = price * closing - entry if start > ZERO else entry - price * closing
        if closing != size:
            position.entry_notional += price * (size - closing)
    else:
        position.entry_notional += notional
    position.size = start + size if side is BUY else start - size
    if not position.size:
        del account.positions[coin]
    account.cash += pnl - fee
    account.fees += fee
    account.volume += notional
    return Execution(start, pnl, side, size)
