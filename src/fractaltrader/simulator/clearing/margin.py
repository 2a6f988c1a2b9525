"""Margin: what an account is worth, what it must hold and what it may still spend.

Formulas: hyperliquid.md 7.5 and 7.10. Cross positions share the account's cash; an isolated
position has margin of its own (`Position.isolated`), which the cross figures leave out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from fractaltrader.exchange.port import Side
from fractaltrader.market import Instrument
from fractaltrader.simulator.clearing import tiers
from fractaltrader.simulator.clearing.accounts import position_size, signed
from fractaltrader.simulator.core import Core
from fractaltrader.simulator.numbers import ZERO, floor_micro
from fractaltrader.simulator.state import Account, Position
from fractaltrader.simulator.trading.book import NO_CLAIMS, Claims

DEFAULT_LEVERAGE = 20
NO_COINS: dict[str, Claims] = {}
Marks = Callable[[str], Decimal]


def leverage_of(account: Account, instrument: Instrument) -> int:
    """The account's leverage setting for a coin."""
    chosen = account.leverage.get(instrument.coin)
    return min(DEFAULT_LEVERAGE, instrument.max_leverage) if chosen is None else chosen


def is_isolated(core: Core, account: Account, coin: str) -> bool:
    """Whether the account's margin mode for a coin is isolated; cross unless set or required."""
    chosen = account.isolated.get(coin)
    return core.state.markets[coin].margin_mode is not None if chosen is None else chosen


def unrealized(position: Position, mark: Decimal) -> Decimal:
    """Profit of the open position at `mark`, USDC."""
    value, entry = position.size * mark, position.entry_notional
    return value - entry if position.size > ZERO else value + entry


def account_value(account: Account, marks: Marks) -> Decimal:
    """Cash plus unrealised profit of every position, USDC."""
    open_profit = (unrealized(held, marks(coin)) for coin, held in account.positions.items())
    return sum(open_profit, account.cash)


def cross_value(account: Account, marks: Marks) -> Decimal:
    """Cash that no isolated position holds plus unrealised profit of cross positions, USDC."""
    value = account.cash
    for coin, held in account.positions.items():
        if held.isolated is not None:
            value -= held.isolated
        else:
            value += unrealized(held, marks(coin))
    return value


def isolated_value(position: Position, mark: Decimal) -> Decimal:
    """Margin of an isolated position plus its unrealised profit, USDC; it is `marginUsed`."""
    return (position.isolated or ZERO) + unrealized(position, mark)


def raw_usd(position: Position) -> Decimal:
    """An isolated position's margin less what its size was bought for: value - size x mark."""
    entry = position.entry_notional if position.size > 0 else -position.entry_notional
    return (position.isolated or ZERO) - entry


def initial_margin(notional: Decimal, leverage: int) -> Decimal:
    """Margin a position of `notional` uses, floored at 6 decimals."""
    return floor_micro(notional / leverage)


def exposure(size: Decimal, mark: Decimal, claims: Claims) -> Decimal:
    """Notional of the worst case, all buys or all sells of `claims`, for a position of `size`.

    Orders against the position first reduce it; only what exceeds it opens, at the orders' average
    price.
    """
    if not size:
        return max(claims.bid_notional, claims.ask_notional)
    held = abs(size)
    if size > ZERO:
        against = _beyond(held, claims.ask_size, claims.ask_notional)
        return max(held * mark + claims.bid_notional, against)
    against = _beyond(held, claims.bid_size, claims.bid_notional)
    return max(held * mark + claims.ask_notional, against)


def _beyond(held: Decimal, size: Decimal, notional: Decimal) -> Decimal:
    """Notional of orders of `size` in all that exceeds a position of `held` against them."""
    if not held:
        return notional
    return notional * (size - held) / size if size > held else ZERO


def coin_requirement(core: Core, account: Account, coin: str, claims: Claims) -> Decimal:
    """Margin that position and `claims` on a coin ask of the cross balance, USDC."""
    leverage = leverage_of(account, core.instruments[coin])
    if is_isolated(core, account, coin):
        return _isolated_requirement(core, account, coin, claims, leverage)
    size = position_size(account, coin)
    return initial_margin(exposure(size, core.mark(coin), claims), leverage)


def _isolated_requirement(
    core: Core, account: Account, coin: str, claims: Claims, leverage: int
) -> Decimal:
    """What `claims` open needs margin of its own; a reversal has what the close releases."""
    size = position_size(account, coin)
    buys = _beyond(max(-size, ZERO), claims.bid_size, claims.bid_notional)
    sells = _beyond(max(size, ZERO), claims.ask_size, claims.ask_notional)
    same, against = (buys, sells) if size > 0 else (sells, buys)
    reversal = initial_margin(against, leverage) - released(core, account, coin)
    return max(initial_margin(same, leverage), reversal, ZERO)


def released(core: Core, account: Account, coin: str) -> Decimal:
    """What closing an isolated position at the mark gives back to the cross balance, USDC."""
    position = account.positions.get(coin)
    if position is None or position.isolated is None:
        return ZERO
    return max(isolated_value(position, core.mark(coin)), ZERO)


def claims_on(core: Core, account: Account, coin: str) -> Claims:
    """What the account's resting orders on a coin can open."""
    return core.claims.get(account.address, NO_COINS).get(coin, NO_CLAIMS)


def total_requirement(core: Core, account: Account, *, but: str | None = None) -> Decimal:
    """Margin asked of the cross balance over every coin except `but`, USDC."""
    claims, total = core.claims.get(account.address, NO_COINS), ZERO
    for coin in account.positions:
        if coin != but:
            total += coin_requirement(core, account, coin, claims.get(coin, NO_CLAIMS))
    for coin, resting in claims.items():
        if coin != but and coin not in account.positions:
            total += coin_requirement(core, account, coin, resting)
    return total


def has_room(
    core: Core, account: Account, coin: str, side: Side, size: Decimal, price: Decimal
) -> bool:
    """Whether the cross balance covers a further order, other resting orders included."""
    claims = claims_on(core, account, coin)
    after = coin_requirement(core, account, coin, claims.with_order(side, size, price))
    if after + total_requirement(core, account, but=coin) <= cross_value(account, core.mark):
        return True
    return after <= coin_requirement(core, account, coin, claims)


def can_carry(
    core: Core, account: Account, coin: str, side: Side, size: Decimal, price: Decimal
) -> bool:
    """Whether the cross balance covers what positions ask for once `size` has executed."""
    held = position_size(account, coin)
    leverage = leverage_of(account, core.instruments[coin])
    if is_isolated(core, account, coin):
        closed = max(-signed(side, held), ZERO)
        needed = initial_margin(max(size - closed, ZERO) * price, leverage)
        if closed:
            needed = max(needed - released(core, account, coin), ZERO)
    else:
        needed = initial_margin(abs(held + signed(side, size)) * price, leverage)
    for other, position in account.positions.items():
        if other != coin and position.isolated is None:
            notional = abs(position.size) * core.mark(other)
            needed += initial_margin(notional, leverage_of(account, core.instruments[other]))
    return cross_value(account, core.mark) >= needed


def exceeds_tier(core: Core, account: Account, coin: str, side: Side, size: Decimal) -> bool:
    """Whether the position that an execution leaves may not have the account's leverage.

    The venue's words: `Order would cause position to exceed margin tier limit at current leverage`.
    """
    table = tiers.table_of(core.state.margin_tables, core.state.markets[coin])
    if len(table.tiers) == 1:
        return False
    held = position_size(account, coin)
    after = held + signed(side, size)
    if abs(after) <= abs(held):
        return False
    allowed = tiers.max_leverage_at(table, abs(after) * core.mark(coin))
    return leverage_of(account, core.instruments[coin]) > allowed


@dataclass(frozen=True, slots=True)
class Summary:
    """A margin summary over cross positions, or over all, USDC."""

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


def maintenance_of(core: Core, coin: str, notional: Decimal) -> Decimal:
    """Margin a position of `notional` in a coin must maintain, USDC."""
    return tiers.maintenance(
        tiers.table_of(core.state.margin_tables, core.state.markets[coin]), notional
    )


def cross_health(core: Core, account: Account) -> tuple[Decimal, Decimal]:
    """Cross equity and what it must maintain: the two figures of `cross_summary` that decide.

    An equity of half the notional or more maintains any position (1x asks for half), so that
    maintenance is worked out only for accounts in use of leverage; else it is given as zero.
    """
    equity, notional = account.cash, ZERO
    values: list[tuple[str, Decimal]] = []
    for coin, position in account.positions.items():
        if position.isolated is not None:
            equity -= position.isolated
            continue
        value = position.size * core.mark(coin)
        if value > 0:
            equity += value - position.entry_notional
        else:
            equity += value + position.entry_notional
            value = -value
        notional += value
        values.append((coin, value))
    if 2 * equity >= notional:
        return equity, ZERO
    return equity, sum((maintenance_of(core, coin, value) for coin, value in values), ZERO)


def cross_summary(core: Core, account: Account) -> Summary:
    """Sums over the cross positions at their marks."""
    notional = margin = maintained = held = ZERO
    for coin, position in account.positions.items():
        if position.isolated is not None:
            continue
        signed_value = position.size * core.mark(coin)
        value = abs(signed_value)
        notional += value
        held += signed_value
        margin += initial_margin(value, leverage_of(account, core.instruments[coin]))
        maintained += maintenance_of(core, coin, value)
    worth = cross_value(account, core.mark)
    return Summary(worth, notional, worth - held, margin, maintained)


def total_summary(core: Core, account: Account, cross: Summary) -> Summary:
    """`cross` and the isolated positions together; those use what they are worth as margin."""
    worth, notional, raw, margin = (
        cross.account_value,
        cross.notional,
        cross.raw_usd,
        cross.margin_used,
    )
    for coin, position in account.positions.items():
        if position.isolated is not None:
            value = isolated_value(position, core.mark(coin))
            worth += value
            margin += value
            notional += abs(position.size) * core.mark(coin)
            raw += raw_usd(position)
    return Summary(worth, notional, raw, margin, cross.maintenance)


def withdrawable(core: Core, account: Account) -> Decimal:
    """What may leave the account: isolated margin stays, and so does what resting orders claim.

    Remaining equity >= max(initial margin, a tenth of the notional); hyperliquid.md 7.5.
    """
    summary = cross_summary(core, account)
    claimed = total_requirement(core, account)
    return min(summary.withdrawable, max(summary.account_value - claimed, ZERO))


def liquidation_price(
    size: Decimal, mark: Decimal, spare: Decimal, rate: Decimal
) -> Decimal | None:
    """Price at which equity meets maintenance, other prices unchanged; None when it is <= 0.

    mark - side * spare / size / (1 - rate * side), where `spare` is equity less maintenance at
    `mark` and `rate` the maintenance rate of the position's tier (hyperliquid.md 7.6, 7.10).
    """
    side = 1 if size > 0 else -1
    price = mark - side * spare / abs(size) / (1 - rate * side)
    return price if price > 0 else None


def liquidation_price_of(
    core: Core, coin: str, position: Position, cross: Summary
) -> Decimal | None:
    """The position's liquidation price; a cross one has the whole cross balance behind it."""
    mark = core.mark(coin)
    notional = abs(position.size) * mark
    table = tiers.table_of(core.state.margin_tables, core.state.markets[coin])
    rate, deduction = tiers.rate_and_deduction(table, notional)
    if position.isolated is None:
        spare = cross.account_value - cross.maintenance
    else:
        # Unfloored: the recorded figure has more than six decimals.
        spare = isolated_value(position, mark) - (notional * rate - deduction)
    return liquidation_price(position.size, mark, spare, rate)
