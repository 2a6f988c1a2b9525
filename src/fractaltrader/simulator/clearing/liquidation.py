"""Liquidation: closing by force what no longer maintains its margin (hyperliquid.md 7.6).

Equity below maintenance: the orders go, then positions go to the book at market; of one above
100,000 USDC first a fifth, and for 30 s after that everything that must go goes whole. Equity below
two thirds of maintenance: the backstop takes over position and margin at the mark. Cross positions
stand for each other, an isolated one for itself.
"""

from collections.abc import Iterable
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Literal

from fractaltrader.exchange.port import Side
from fractaltrader.simulator.clearing import margin, settlement, transfers
from fractaltrader.simulator.clearing.accounts import Execution
from fractaltrader.simulator.core import Core
from fractaltrader.simulator.numbers import ZERO, venue_number
from fractaltrader.simulator.state import Account, Fill, Liquidation, Order, Position
from fractaltrader.simulator.trading.book import crosses
from fractaltrader.simulator.trading.lifecycle import finish, finish_all, register
from fractaltrader.simulator.trading.matching import take
from fractaltrader.simulator.trading.triggers import TOLERANCE, settle_consequences

WHOLE_UP_TO = Decimal(100_000)
FIRST_PART = Decimal("0.2")
COOLDOWN_MS = 30_000
# The next block looks again at an account that a first part did not save.
BLOCK_MS = 1_000
BACKSTOP_SHARE = Decimal(2) / 3


def _margins(core: Core, account: Account, coin: str) -> tuple[Decimal, Decimal]:
    """Equity and maintenance that the position in `coin` lives by: its own, or the cross ones."""
    position = account.positions[coin]
    if position.isolated is None:
        return margin.cross_health(core, account)
    mark = core.mark(coin)
    needed = margin.maintenance_of(core, coin, abs(position.size) * mark)
    return margin.isolated_value(position, mark), needed


def _is_due(core: Core, account: Account, coin: str) -> bool:
    if coin not in account.positions:
        return False
    equity, needed = _margins(core, account, coin)
    return equity < needed


def _holders(core: Core, coin: str) -> list[Account]:
    """Users with a position in `coin`, in an order that does not depend on its history."""
    held = core.holders[coin]
    return [held[user] for user in sorted(held) if user in core.state.accounts]


def check(core: Core, coin: str) -> None:
    """Liquidate whoever the mark of `coin` has brought below maintenance."""
    for account in _holders(core, coin):
        if _is_due(core, account, coin):
            _liquidate(core, account, coin)


def check_all(core: Core) -> None:
    """Liquidate whoever is below maintenance, as funding may have brought anybody there."""
    for coin in core.books:
        check(core, coin)


def after_executions(core: Core) -> None:
    """Look at everybody who has executed since the last publication.

    Executions away from the mark change equity too: whoever they brought below maintenance is
    liquidated, unless that waits for its next block already.
    """
    told = core.outbox
    if not told.fills and not told.slice_fills:
        return
    for user in list(dict.fromkeys((*told.fills, *told.slice_fills))):
        account = core.account(user)
        for coin in list(account.positions):
            if user not in core.state.rechecks and _is_due(core, account, coin):
                _liquidate(core, account, coin)
        _forgive_debt(core, account)


def _forgive_debt(core: Core, account: Account) -> None:
    """The backstop pays what an account without cross positions owes, as nobody else would."""
    if all(held.isolated is not None for held in account.positions.values()):
        _pay(core.state.backstop, account, max(-margin.cross_value(account, core.mark), ZERO))


def first_stop(core: Core, coin: str, stop: Decimal) -> Decimal:
    """`stop`, or the price before it on the way from the mid at which a liquidation comes due."""
    market = core.state.markets[coin]
    mid, shift = market.mid, market.prices.mark_shift
    if mid is None or not core.holders[coin]:
        return stop
    falling = stop < mid
    rounding = ROUND_FLOOR if falling else ROUND_CEILING
    for account in _holders(core, coin):
        position = account.positions[coin]
        if (position.size > 0) != falling:
            continue
        cross = margin.cross_summary(core, account)
        level = margin.liquidation_price_of(core, coin, position, cross)
        if level is None:
            continue
        price = core.instruments[coin].round_price(level, rounding) - shift
        if (stop < price < mid) if falling else (mid < price < stop):
            stop = price
    return stop


def next_due(core: Core) -> int | None:
    """When an account is to be looked at again, UTC epoch ms."""
    return min(core.state.rechecks.values()) if core.state.rechecks else None


def run(core: Core) -> None:
    """Look again at the accounts that are due."""
    now = core.now_ms()
    for user in sorted(core.state.rechecks):
        if core.state.rechecks[user] <= now:
            del core.state.rechecks[user]
            account = core.account(user)
            for coin in list(account.positions):
                if _is_due(core, account, coin):
                    _liquidate(core, account, coin)


def _liquidate(core: Core, account: Account, coin: str) -> None:
    """Liquidate the position in `coin`, with all other cross ones when it is one of them."""
    own = account.positions[coin].isolated is not None
    equity, needed = _margins(core, account, coin)
    coins = [coin] if own else _by_size(core, account)
    positions = _sizes(account, coins)
    notional = sum((abs(size) * core.mark(name) for name, size in positions.items()), ZERO)
    _cancel_orders(core, account, coin if own else None)
    at_once = backstop = equity < needed * BACKSTOP_SHARE
    if not backstop:
        for name in coins:
            if _is_due(core, account, name):
                _close_at_market(core, account, name)
        settle_consequences(core)
        backstop = _is_beyond_the_book(core, account, coins)
    if backstop or _sizes(account, coins) != positions:
        # An empty book is no liquidation, however often it is asked.
        _tell(core, account, positions, (notional, equity), own=own, backstop=at_once)
    _forgive_debt(core, account)
    if backstop:
        _hand_over(core, account, [name for name in coins if name in account.positions])
    elif any(_is_due(core, account, name) for name in coins):
        core.state.rechecks[account.address] = core.now_ms() + BLOCK_MS


def _sizes(account: Account, coins: list[str]) -> dict[str, Decimal]:
    """Signed sizes of what there is of the positions in `coins`."""
    return {name: account.positions[name].size for name in coins if name in account.positions}


def force(core: Core, user: str, coin: str | None = None) -> None:
    """Close the whole positions of `user` (in `coin`, when given) at market as a liquidation does,
    whatever the margin behind them; KeyError for an unknown user."""
    account = core.account(user)
    for name in [name for name in account.positions if coin in (None, name)]:
        position = account.positions[name]
        own, notional = position.isolated is not None, abs(position.size) * core.mark(name)
        equity, _ = _margins(core, account, name)
        _cancel_orders(core, account, name if own else None)
        sizes = {name: position.size}
        _tell(core, account, sizes, (notional, equity), own=own, backstop=False)
        # As after a first part, all of it goes.
        account.cooldown_ms = core.now_ms() + COOLDOWN_MS
        _close_at_market(core, account, name)
        settle_consequences(core)


def _by_size(core: Core, account: Account) -> list[str]:
    """Coins of the cross positions, the largest notional first."""
    cross = (name for name, held in account.positions.items() if held.isolated is None)
    return sorted(
        cross, key=lambda name: (-abs(account.positions[name].size) * core.mark(name), name)
    )


def _cancel_orders(core: Core, account: Account, coin: str | None) -> None:
    live = core.live_orders(account.address)
    concerned = [order for order in live if coin in (None, order.coin)]
    finish_all(core, concerned, "liquidatedCanceled")
    settle_consequences(core)


def _is_beyond_the_book(core: Core, account: Account, coins: Iterable[str]) -> bool:
    """Whether what is left has fallen below two thirds of maintenance."""
    for coin in coins:
        if coin in account.positions:
            equity, needed = _margins(core, account, coin)
            if equity < needed * BACKSTOP_SHARE:
                return True
    return False


def _close_at_market(core: Core, account: Account, coin: str) -> None:
    """Send the position, or its first part, to the book, if there is anything in it."""
    position = account.positions[coin]
    mark, size = core.mark(coin), abs(position.size)
    own, cash = position.isolated, account.cash
    side, worst = _market_terms(core, coin, position)
    quote = core.books[coin].best(side.opposite)
    if quote is None or not crosses(side, worst, quote.price):
        return
    if size * mark > WHOLE_UP_TO and core.now_ms() >= account.cooldown_ms:
        instrument = core.instruments[coin]
        size = max(instrument.round_size(size * FIRST_PART), instrument.lot)
        account.cooldown_ms = core.now_ms() + COOLDOWN_MS
    order = _market_order(core, account, coin, (side, worst), size)
    core.liquidating = Liquidation(account.address, mark, "market")
    try:
        take(core, order, order.price)
    finally:
        core.liquidating = None
    finish(core, order, "filled" if order.size == 0 else "canceled")
    if own is not None:
        left = account.positions.get(coin)
        held = own + account.cash - cash if left is None else left.isolated or ZERO
        if held < 0:
            # What an isolated position loses beyond its margin is not the account's loss.
            _pay(core.state.backstop, account, -held)
            if left is not None:
                left.isolated = ZERO


def _market_terms(core: Core, coin: str, position: Position) -> tuple[Side, Decimal]:
    """Side and worst price of an order that closes the position."""
    side = Side.SELL if position.size > 0 else Side.BUY
    worst = 1 + TOLERANCE if side is Side.BUY else 1 - TOLERANCE
    return side, core.instruments[coin].round_price(core.mark(coin) * worst)


def _market_order(
    core: Core, account: Account, coin: str, terms: tuple[Side, Decimal], size: Decimal
) -> Order:
    side, worst = terms
    order = Order(
        oid=core.new_oid(),
        user=account.address,
        coin=coin,
        side=side,
        price=worst,
        size=size,
        original_size=size,
        tif="LiquidationMarket",
        reduce_only=True,
        trigger=None,
        cloid=None,
        placed_ms=core.now_ms(),
        status="open",
        status_ms=core.now_ms(),
    )
    register(core, order)
    core.set_status(order, "open")
    return order


def _pay(source: Account, target: Account, usd: Decimal) -> None:
    source.cash -= usd
    target.cash += usd


def _hand_over(core: Core, account: Account, coins: list[str]) -> None:
    """Positions go to the backstop at the mark, and with them the equity behind them."""
    backstop = core.state.backstop
    shared = any(account.positions[coin].isolated is None for coin in coins)
    for coin in coins:
        position = account.positions[coin]
        own = position.isolated
        mark = core.instruments[coin].round_price(core.mark(coin))
        size = abs(position.size)
        side = Side.SELL if position.size > 0 else Side.BUY
        profit = margin.unrealized(position, mark)
        done = settlement.book_without_fee(core, account, coin, side, mark, size)
        settlement.book_without_fee(core, backstop, coin, side.opposite, mark, size)
        _record_takeover(core, account, coin, side, (mark, size), done)
        if own is not None:
            _pay(account, backstop, own + profit)
    if shared:
        _pay(account, backstop, margin.cross_value(account, core.mark))


def _record_takeover(
    core: Core,
    account: Account,
    coin: str,
    side: Side,
    trade: tuple[Decimal, Decimal],
    done: Execution,
) -> None:
    price, size = trade
    fill = Fill(
        coin=coin,
        price=price,
        size=size,
        side=side,
        time_ms=core.now_ms(),
        start_position=done.start_position,
        direction=done.direction,
        closed_pnl=done.closed_pnl,
        hash=core.new_hash(),
        oid=core.new_oid(),
        crossed=True,
        fee=ZERO,
        tid=core.new_tid(),
        cloid=None,
        liquidation=Liquidation(account.address, core.mark(coin), "backstop"),
    )
    core.record_fill(account, fill)


def _tell(
    core: Core,
    account: Account,
    positions: dict[str, Decimal],
    figures: tuple[Decimal, Decimal],
    *,
    own: bool,
    backstop: bool,
) -> None:
    """Ledger entry and event; `figures` are liquidated notional and equity before."""
    kind: Literal["Isolated", "Cross"] = "Isolated" if own else "Cross"
    notional, equity = (venue_number(value) for value in figures)
    delta = {
        "type": "liquidation",
        "liquidatedNtlPos": notional,
        "accountValue": equity,
        "leverageType": kind,
        "liquidatedPositions": [
            {"coin": coin, "szi": venue_number(size)} for coin, size in positions.items()
        ],
    }
    transfers.enter(core, account.address, delta)
    core.state.liquidations += 1
    liquidator = core.state.backstop if backstop else core.state.house
    event = {
        "lid": core.state.liquidations,
        "liquidator": liquidator.address,
        "liquidated_user": account.address,
        "liquidated_ntl_pos": notional,
        "liquidated_account_value": equity,
    }
    core.tell_user(account.address, {"liquidation": event})
