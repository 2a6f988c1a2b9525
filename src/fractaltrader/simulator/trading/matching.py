"""Executions: a taker walks the book, a maker is met; both sides are booked and told."""

from decimal import Decimal

from fractaltrader.exchange.port import Side
from fractaltrader.simulator.clearing import accounts, margin
from fractaltrader.simulator.core import Core
from fractaltrader.simulator.numbers import ZERO
from fractaltrader.simulator.state import Fill, Order, Trade
from fractaltrader.simulator.trading.book import Quote, crosses
from fractaltrader.simulator.trading.lifecycle import finish


def take(core: Core, taker: Order, limit: Decimal) -> None:
    """Execute `taker` against everything it crosses, best price first, then time.

    The taker's own resting orders are cancelled when met; makers that cannot carry the position
    are cancelled for margin. Statuses of the taker are the caller's.
    """
    book = core.books[taker.coin]
    trade_hash = core.new_hash()
    while taker.size > 0:
        quote = book.best(taker.side.opposite)
        if quote is None or not crosses(taker.side, limit, quote.price):
            return
        maker = quote.order
        if maker is None:
            size = min(taker.size, quote.size)
            book.take_modelled(taker.side.opposite, quote, size)
            _settle(core, taker, None, quote.price, size, trade_hash)
        elif maker.user == taker.user:
            finish(core, maker, "selfTradeCanceled")
        else:
            size = min(taker.size, quote.size)
            if _maker_can_carry(core, maker, size):
                _settle(core, taker, maker, quote.price, size, trade_hash)
            else:
                finish(core, maker, "marginCanceled")


def would_take(core: Core, order: Order) -> Quote | None:
    """The quote that `order` would meet at its limit price; None when it would rest."""
    quote = core.books[order.coin].best(order.side.opposite)
    return quote if quote is not None and crosses(order.side, order.price, quote.price) else None


def meet_resting(core: Core, maker: Order) -> None:
    """The modelled market trades through `maker`: it executes whole, at its own price."""
    if not _maker_can_carry(core, maker, maker.size):
        finish(core, maker, "marginCanceled")
        return
    trade, size = (core.new_hash(), core.new_tid()), maker.size
    _book_house(core, maker.coin, maker.side.opposite, maker.price, size)
    _print(core, maker, None, maker.price, size, trade, maker.side.opposite)
    _book_user(core, maker, maker.price, size, trade, crossed=False)
    finish(core, maker, "filled")


def _maker_can_carry(core: Core, maker: Order, size: Decimal) -> bool:
    account = core.account(maker.user)
    opening = size - accounts.reducible(account, maker.coin, maker.side)
    if opening <= 0:
        return True
    claim = margin.Claim(maker.side, size, maker.price)
    return margin.can_carry(account, core.instruments, core.mark, maker.coin, claim)


def _settle(
    core: Core, taker: Order, maker: Order | None, price: Decimal, size: Decimal, trade_hash: str
) -> None:
    trade = (trade_hash, core.new_tid())
    _print(core, taker, maker, price, size, trade, taker.side)
    _book_user(core, taker, price, size, trade, crossed=True)
    if maker is None:
        _book_house(core, taker.coin, taker.side.opposite, price, size)
        return
    _book_user(core, maker, price, size, trade, crossed=False)
    if maker.size == 0:
        finish(core, maker, "filled")


def _book_house(core: Core, coin: str, side: Side, price: Decimal, size: Decimal) -> None:
    accounts.execute(core.state.house, coin, side, price, size, ZERO)


def _book_user(
    core: Core,
    order: Order,
    price: Decimal,
    size: Decimal,
    trade: tuple[str, int],
    *,
    crossed: bool,
) -> None:
    account = core.account(order.user)
    rate = accounts.TAKER_RATE if crossed else accounts.MAKER_RATE
    fee = accounts.fee_of(price * size, rate)
    done = accounts.execute(account, order.coin, order.side, price, size, fee)
    order.size -= size
    order.filled += size
    order.filled_notional += price * size
    core.record_fill(
        order.user,
        Fill(
            coin=order.coin,
            price=price,
            size=size,
            side=order.side,
            time_ms=core.now_ms(),
            start_position=done.start_position,
            direction=done.direction,
            closed_pnl=done.closed_pnl,
            hash=trade[0],
            oid=order.oid,
            crossed=crossed,
            fee=fee,
            tid=trade[1],
            cloid=order.cloid,
        ),
    )
    core.touched[(order.user, order.coin)] = None


def _print(
    core: Core,
    order: Order,
    other: Order | None,
    price: Decimal,
    size: Decimal,
    trade: tuple[str, int],
    aggressor: Side,
) -> None:
    mine, theirs = order.user, other.user if other else core.state.house.address
    users = (mine, theirs) if order.side is Side.BUY else (theirs, mine)
    core.record_trade(
        Trade(order.coin, aggressor, price, size, core.now_ms(), trade[0], trade[1], users)
    )
