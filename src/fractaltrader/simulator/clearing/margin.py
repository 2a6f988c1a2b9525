"""Cross margin: what an account is worth, what it must hold and what it may still spend.

Formulas: hyperliquid.md 7.5 and 7.10. Liquidation, isolated margin and tiers will live beside it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal

from fractaltrader.exchange.port import Side
from fractaltrader.market import Instrument
from fractaltrader.simulator.clearing.accounts import position_size, signed
from fractaltrader.simulator.numbers import ZERO, floor_micro
from fractaltrader.simulator.state import Account, Order, Position

DEFAULT_LEVERAGE = 20
Marks = Callable[[str], Decimal]


def leverage_of(account: Account, instrument: Instrument) -> int:
    """The account's leverage setting for a coin."""
    default = min(DEFAULT_LEVERAGE, instrument.max_leverage)
    return account.leverage.get(instrument.coin, default)


def unrealized(position: Position, mark: Decimal) -> Decimal:
    """Profit of the open position at `mark`, USDC."""
    entry = position.entry_notional if position.size > 0 else -position.entry_notional
    return position.size * mark - entry


def account_value(account: Account, marks: Marks) -> Decimal:
    """Cash plus unrealised profit, USDC."""
    open_profit = (unrealized(held, marks(coin)) for coin, held in account.positions.items())
    return sum(open_profit, account.cash)


def initial_margin(notional: Decimal, leverage: int) -> Decimal:
    """Margin a position of `notional` uses, floored at 6 decimals."""
    return floor_micro(notional / leverage)


def maintenance_margin(notional: Decimal, max_leverage: int) -> Decimal:
    """Half the initial margin at the highest leverage, floored at 6 decimals."""
    return floor_micro(notional / (2 * max_leverage))


@dataclass(frozen=True, slots=True)
class Claim:
    """An order's claim on margin: `size` base units of `side` at `price`."""

    side: Side
    size: Decimal
    price: Decimal


def claims_of(orders: Iterable[Order], coin: str) -> list[Claim]:
    """Claims of resting orders that can open; triggers and reduce-only orders claim nothing."""
    return [
        Claim(order.side, order.size, order.price)
        for order in orders
        if order.coin == coin and order.phase == "resting" and not order.reduce_only
    ]


def coin_requirement(
    size: Decimal, mark: Decimal, leverage: int, claims: Iterable[Claim]
) -> Decimal:
    """Initial margin of the worst case: all buys or all sells of `claims` execute."""
    worst = abs(size) * mark
    wanted = list(claims)
    for side in Side:
        # Orders against the position first reduce it; only what exceeds it opens.
        offset = max(-signed(side, size), ZERO)
        exposure = max(signed(side, size), ZERO) * mark
        for claim in wanted:
            if claim.side is side:
                reduced = min(offset, claim.size)
                offset -= reduced
                exposure += (claim.size - reduced) * claim.price
        worst = max(worst, exposure)
    return initial_margin(worst, leverage)


@dataclass(frozen=True, slots=True)
class Summary:
    """The account's cross margin summary, USDC."""

    account_value: Decimal
    notional: Decimal
    raw_usd: Decimal
    margin_used: Decimal
    maintenance: Decimal

    @property
    def withdrawable(self) -> Decimal:
        """Account value above the larger of margin used and a tenth of the notional."""
        reserved = max(self.margin_used, self.notional / 10)
        return max(self.account_value - reserved, ZERO)


def summary_of(account: Account, instruments: dict[str, Instrument], marks: Marks) -> Summary:
    """Sums over every position at its mark."""
    notional = margin = maintenance = held_value = ZERO
    for coin, position in account.positions.items():
        value = abs(position.size) * marks(coin)
        instrument = instruments[coin]
        notional += value
        held_value += position.size * marks(coin)
        margin += initial_margin(value, leverage_of(account, instrument))
        maintenance += maintenance_margin(value, instrument.max_leverage)
    worth = account_value(account, marks)
    return Summary(worth, notional, worth - held_value, margin, maintenance)


def liquidation_price(
    position: Position, mark: Decimal, max_leverage: int, summary: Summary
) -> Decimal | None:
    """Price at which cross equity meets maintenance, other prices unchanged; None when <= 0."""
    side = 1 if position.size > 0 else -1
    spare = summary.account_value - summary.maintenance
    share = 1 - Decimal(side) / (2 * max_leverage)
    price = mark - side * spare / abs(position.size) / share
    return price if price > 0 else None


def can_carry(
    account: Account,
    instruments: dict[str, Instrument],
    marks: Marks,
    coin: str,
    claim: Claim,
) -> bool:
    """Whether the account's value covers its positions' margin after `claim` executes."""
    after = position_size(account, coin) + signed(claim.side, claim.size)
    needed = initial_margin(abs(after) * claim.price, leverage_of(account, instruments[coin]))
    for other, position in account.positions.items():
        if other != coin:
            value = abs(position.size) * marks(other)
            needed += initial_margin(value, leverage_of(account, instruments[other]))
    return account_value(account, marks) >= needed
