"""The price path: what the modelled price meets on its way from one tick to the next."""

from decimal import Decimal

from fractaltrader.exchange.port import Side
from fractaltrader.simulator.core import Core
from fractaltrader.simulator.state import Trade
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
    while market.mid != price:
        market.mid = book.next_stop(price)
        _drain(core, coin)
    core.state.last_move_ms = core.now_ms()
    core.candles[coin].update(core.now_ms(), price, volume)
    if volume > 0:
        side = Side.BUY if before is None or price >= before else Side.SELL
        house = core.state.house.address
        core.record_trade(
            Trade(
                coin,
                side,
                price,
                volume,
                core.now_ms(),
                core.new_hash(),
                core.new_tid(),
                (house, house),
            )
        )


def _drain(core: Core, coin: str) -> None:
    """Execute everything that is due at the current price."""
    book = core.books[coin]
    while (order := book.due()) is not None:
        if order.phase == "armed":
            fire(core, order)
        else:
            meet_resting(core, order)
        settle_consequences(core)
