"""Executions: a taker walks the book, a maker is met; both sides are booked and told."""

from decimal import Decimal

from fractaltrader.exchange.port import BUY, Side
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
    trade_hash = ""
    while taker.size > 0:
        quote = book.best(taker.side.opposite)
        if quote is None or not crosses(taker.side, limit, quote.price):
            return
        trade_hash = trade_hash or (core.new_hash() if taker.twap is None else ZERO_HASH)
        maker = quote.order
        if maker is None:
            size = min(taker.size, quote.size)
            book.take_modelled(taker.side.opposite, quote, size)
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
    quote = core.books[order.coin].best(order.side.opposite)
    return quote if quote is not None and crosses(order.side, order.price, quote.price) else None


def meet_resting(core: Core, maker: Order, size: Decimal) -> None:
    """The modelled market trades `size` with `maker`, at the maker's own price."""
    refusal = _maker_refusal(core, maker, size)
    if refusal is not None:
        finish(core, maker, refusal)
        return
    trade = core.new_trade()
    _book_house(core, maker.coin, maker.side.opposite, maker.price, size)
    _print(core, maker, None, maker.price, size, trade, maker.side.opposite)
    _book_user(core, maker, maker.price, size, trade, crossed=False)
    if maker.size == 0:
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
    settlement.book_without_fee(core, core.state.house, coin, side, price, size)


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
    builder_fee = _pay_builder(core, order, price * size) if order.builder_fee else ZERO
    done, fee = settlement.book(
        core,
        account,
        order.coin,
        order.side,
        price,
        size,
        crossed=crossed,
        builder_fee=builder_fee,
    )
    core.books[order.coin].shrink(order, size)
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
            twap=order.twap,
            builder_fee=builder_fee,
            liquidation=core.liquidating,
        ),
    )
    if order.user in core.books[order.coin].reducers:
        core.touched[(order.user, order.coin)] = None


def _pay_builder(core: Core, order: Order, notional: Decimal) -> Decimal:
    """The builder's fee goes to the builder's account; part of the user's fee."""
    if order.builder is None:
        return ZERO
    fee = accounts.fee_of(notional, order.builder_fee * TENTH_OF_BP)
    core.state.accounts.setdefault(order.builder, Account(order.builder)).cash += fee
    return fee


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
    users = (mine, theirs) if order.side is BUY else (theirs, mine)
    core.record_trade(
        Trade(order.coin, aggressor, price, size, core.now_ms(), trade[0], trade[1], users)
    )
