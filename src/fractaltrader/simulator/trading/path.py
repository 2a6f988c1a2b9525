"""The price path: what the modelled price meets on its way from one tick to the next."""

from decimal import Decimal

from fractaltrader.exchange.port import BUY, SELL
from fractaltrader.simulator.clearing import funding, liquidation, prices
from fractaltrader.simulator.core import Core
from fractaltrader.simulator.trading import flow, twap
from fractaltrader.simulator.trading.matching import meet_resting
from fractaltrader.simulator.trading.triggers import fire, settle_consequences


def move(core: Core, coin: str, price: Decimal, *, jump: bool, volume: Decimal) -> None:
    """Take the price of `coin` to `price`, executing what it reaches in the order it does.

    Along a continuous path each resting order and trigger acts at its own level; in a jump
    resting orders still execute at their limit (the market trades through them), triggers at the
    new price.
    """
    book = core.books[coin]
    market = book.market
    before = market.mid
    book.next_tick()
    if before is None or jump:
        market.mid = price
    _drain(core, coin)
    if jump:
        liquidation.check(core, coin)
    while market.mid != price:
        market.mid = liquidation.first_stop(core, coin, book.next_stop(price))
        _drain(core, coin)
        liquidation.check(core, coin)
    if prices.after_move(core, coin):
        _follow_mark(core, coin)
    funding.begin(core)
    core.state.last_move_ms = core.now_ms()
    core.candles[coin].update(core.now_ms(), price, volume)
    if volume > 0:
        side = BUY if before is None or price >= before else SELL
        flow.spread(core, coin, side, volume)
    if core.state.twaps:
        twap.watch(core, coin)


def drift(core: Core) -> None:
    """Prices as of now; where averages over time moved a mark, triggers and liquidations follow."""
    for coin in prices.observe(core):
        _follow_mark(core, coin)


def _follow_mark(core: Core, coin: str) -> None:
    """The mark moved by itself: resting orders, which look at the mid, are not concerned."""
    while (order := core.books[coin].fired()) is not None:
        fire(core, order)
        settle_consequences(core)
    liquidation.check(core, coin)


def _drain(core: Core, coin: str) -> None:
    """Execute everything that is due at the current price."""
    book = core.books[coin]
    while (order := book.due()) is not None:
        if order.phase == "armed":
            fire(core, order)
        else:
            meet_resting(core, order, order.size)
        settle_consequences(core)
