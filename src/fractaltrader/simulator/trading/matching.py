"""Executions: a taker walks the book, a maker is met; both sides are booked and told."""

from decimal import Decimal

from fractaltrader.exchange.port import BUY, SELL, Side
from fractaltrader.simulator.clearing import accounts, margin, settlement
from fractaltrader.simulator.core import Core
from fractaltrader.simulator.numbers import ZERO
from fractaltrader.simulator.state import Account, Fill, Order, Trade
from fractaltrader.simulator.trading import open_interest
from fractaltrader.simulator.trading.book import Quote, crosses
from fractaltrader.simulator.trading.lifecycle import finish

ZERO_HASH = "0x" + "0" * 64
TENTH_OF_BP = Decimal("0.00001")


def take(core: Core, taker: Order, limit: Decimal) -> None:
    """Execute `taker` against everything it crosses, best price first, then time.

    The taker's own resting orders are cancelled when met; makers that cannot carry the position
    are cancelled for margin. Statuses of the taker are the caller's.
    """
    book = core.books[taker.coin]
    opposite = SELL if taker.side is BUY else BUY
    trade_hash = ""
    while taker.size:
        quote = book.best(opposite)
        if quote is None or not crosses(taker.side, limit, quote.price):
            return
        trade_hash = trade_hash or (core.new_hash() if taker.twap is None else ZERO_HASH)
        maker = quote.order
        if maker is None:
            size = min(taker.size, quote.size)
            book.take_modelled(opposite, quote, size)
            _settle(core, taker, None, quote.price, size, trade_hash)
        elif maker.user == taker.user:
            finish(core, maker, "selfTradeCanceled")
        else:
            size = min(taker.size, quote.size)
            if maker.reduce_only:
                # An execution just before may have taken the position from under it.
                held = core.account(maker.user)
                size = min(size, accounts.reducible(held, maker.coin, maker.side))
                if not size:
                    finish(core, maker, "reduceOnlyCanceled")
                    continue
            refusal = _maker_refusal(core, maker, size)
            if refusal is None:
                _settle(core, taker, maker, quote.price, size, trade_hash)
            else:
                finish(core, maker, refusal)


def would_take(core: Core, order: Order) -> Quote | None:
    """The quote that `order` would meet at its limit price; None when it would rest."""
    side = order.side
    quote = core.books[order.coin].best(SELL if side is BUY else BUY)
    return quote if quote is not None and crosses(side, order.price, quote.price) else None


def meet_resting(core: Core, maker: Order, size: Decimal) -> None:
    """The modelled market trades `size` with `maker`, at the maker's own price."""
    refusal = _maker_refusal(core, maker, size)
    if refusal is not None:
        finish(core, maker, refusal)
        return
    trade_hash, tid = core.new_trade()
    aggressor = maker.side.opposite
    trade = _print(core, maker, None, aggressor, maker.price, size, trade_hash, tid)
    _book_house(core, trade, aggressor)
    _book_user(core, maker, trade, crossed=False)
    if not maker.size:
        finish(core, maker, "filled")


def _maker_refusal(core: Core, maker: Order, size: Decimal) -> str | None:
    """The status with which a maker ends that may not execute `size` any more; None when it may."""
    if not _maker_can_carry(core, maker, size):
        return "marginCanceled"
    if open_interest.blocks_maker(core, maker, size):
        return "openInterestCapCanceled"
    return None


def _maker_can_carry(core: Core, maker: Order, size: Decimal) -> bool:
    account = core.account(maker.user)
    opening = size - accounts.reducible(account, maker.coin, maker.side)
    if opening <= 0:
        return True
    return margin.can_carry(core, account, maker.coin, maker.side, size, maker.price)


def _settle(
    core: Core, taker: Order, maker: Order | None, price: Decimal, size: Decimal, trade_hash: str
) -> None:
    trade = _print(core, taker, maker, taker.side, price, size, trade_hash, core.new_tid())
    _book_user(core, taker, trade, crossed=True)
    if maker is None:
        _book_house(core, trade, SELL if taker.side is BUY else BUY)
        return
    _book_user(core, maker, trade, crossed=False)
    if not maker.size:
        finish(core, maker, "filled")


def _book_house(core: Core, trade: Trade, side: Side) -> None:
    house = core.state.house
    settlement.book_without_fee(core, house, trade.coin, side, trade.price, trade.size)


def _book_user(core: Core, order: Order, trade: Trade, *, crossed: bool) -> None:
    coin, side, price, size = trade.coin, order.side, trade.price, trade.size
    account = core.account(order.user)
    notional = price * size
    builder_fee = ZERO
    if order.builder is not None and order.builder_fee:
        builder_fee = _pay_builder(core, order.builder, notional, order.builder_fee)
    done, fee = settlement.book(
        core, account, coin, side, price, size, crossed=crossed, builder_fee=builder_fee
    )
    book = core.books[coin]
    book.shrink(order, size)
    order.filled += size
    order.filled_notional += notional
    # Some by place: a call with more than 15 keywords takes Python six times as long.
    fill = Fill(
        coin,
        price,
        size,
        side,
        trade.time_ms,
        start_position=done.start_position,
        direction=done.direction,
        closed_pnl=done.closed_pnl,
        hash=trade.hash,
        oid=order.oid,
        crossed=crossed,
        fee=fee,
        tid=trade.tid,
        cloid=order.cloid,
        twap=order.twap,
        builder_fee=builder_fee,
        liquidation=core.liquidating,
    )
    core.record_fill(account, fill)
    if order.user in book.reducers:
        core.touched[(order.user, coin)] = None


def _pay_builder(core: Core, builder: str, notional: Decimal, rate: int) -> Decimal:
    """The builder's fee goes to the builder's account; part of the user's fee."""
    fee = accounts.fee_of(notional, rate * TENTH_OF_BP)
    core.state.accounts.setdefault(builder, Account(builder)).cash += fee
    return fee


def _print(
    core: Core,
    order: Order,
    other: Order | None,
    aggressor: Side,
    price: Decimal,
    size: Decimal,
    trade_hash: str,
    tid: int,
) -> Trade:
    """Make the trade of `order` with `other` (None: the modelled market) known."""
    mine, theirs = order.user, core.state.house.address if other is None else other.user
    users = (mine, theirs) if order.side is BUY else (theirs, mine)
    trade = Trade(order.coin, aggressor, price, size, core.now_ms(), trade_hash, tid, users)
    core.record_trade(trade)
    return trade
