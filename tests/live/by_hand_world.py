"""What a person does on the venue beside the bot, and entries made without a strategy."""

from decimal import Decimal

from virtual_world import World

from fractaltrader.exchange.port import OrderRequest, Side, Trigger
from fractaltrader.live.desk import Desk
from fractaltrader.live.intents import make_intent
from fractaltrader.live.ledger import Ledger
from fractaltrader.live.state import BotState, Intent
from fractaltrader.market import Instrument
from fractaltrader.strategies import Signal

_BY_HAND = iter(range(1, 1_000_000))


def cloid_by_hand() -> str:
    """A client order id that is not ours."""
    return f"0x{next(_BY_HAND):032x}"


async def trade_by_hand(
    world: World, coin: str, size: Decimal, *, reduce_only: bool = False
) -> OrderRequest:
    """Somebody buys (`size` above zero) or sells at the market on the bot's account."""
    venue = world.venue()
    instrument: Instrument = (await venue.instruments())[coin]
    mid = (await venue.mid_prices())[coin]
    side = Side.BUY if size > 0 else Side.SELL
    limit = instrument.round_price(mid * (1 + Decimal("0.01").copy_sign(size)))
    order = OrderRequest(
        instrument, side, abs(size), limit, cloid_by_hand(), "Ioc", reduce_only=reduce_only
    )
    (outcome,) = await venue.place([order], bracket=False)
    assert outcome.filled == abs(size), outcome
    return order


async def buy(world: World, coin: str, usd: int) -> OrderRequest:
    """Somebody buys for `usd`."""
    venue = world.venue()
    instrument = (await venue.instruments())[coin]
    mid = (await venue.mid_prices())[coin]
    return await trade_by_hand(world, coin, instrument.round_size(usd / mid))


async def rest_by_hand(
    world: World, coin: str, side: Side, size: Decimal, factor: str, *, stop: bool = False
) -> OrderRequest:
    """Somebody's order that rests at `factor` times the mid: a limit, or a reduce-only stop."""
    venue = world.venue()
    instrument = (await venue.instruments())[coin]
    price = instrument.round_price((await venue.mid_prices())[coin] * Decimal(factor))
    order = OrderRequest(
        instrument,
        side,
        size,
        instrument.round_price(price * Decimal("0.9")) if stop else price,
        cloid_by_hand(),
        reduce_only=stop,
        trigger=Trigger(price, "sl") if stop else None,
    )
    (outcome,) = await venue.place([order], bracket=False)
    assert outcome.error is None, outcome
    return order


async def cancel_all(world: World, coin: str) -> None:
    """Somebody cancels everything that rests in `coin`."""
    venue = world.venue()
    await venue.instruments()
    for order in await venue.open_orders():
        if order.coin == coin:
            await venue.cancel(coin, order.oid)


def signal(coin: str, bar_time: int, price: float) -> Signal:
    """A long with its stop 2 % below and its target 5 % above `price`."""
    return Signal(
        strategy="by hand",
        coin=coin,
        side=1,
        bar_time=bar_time,
        entry=price,
        stop=price * 0.98,
        target=price * 1.05,
        confidence=50.0,
        factors=(("hand", 50.0),),
        facts=("by hand",),
        atr=price * 0.01,
        atr_baseline=price * 0.01,
    )


async def open_books(world: World, desk: Desk) -> None:
    """Start the accounting of `desk` on the account as it is."""
    desk.instruments = await desk.venue.instruments()
    desk.open(venue_name="world", pid=1)
    equity, now = (await desk.venue.account()).equity, await desk.venue.time_ms()

    def opened(state: BotState) -> None:
        if state.opening_equity is None:
            state.opening_equity, state.ledger_since_ms = equity, now

    desk.since_ms = desk.write(opened).ledger_since_ms


async def intent_for(world: World, desk: Desk, usd: int, coin: str = "BTC") -> Intent:
    """An entry into `coin` worth `usd` at the market, on a desk that keeps books."""
    await open_books(world, desk)
    mid = float((await desk.venue.mid_prices())[coin])
    instrument = desk.instruments[coin]
    return make_intent(
        signal(coin, world.exchange.now_ms(), mid),
        instrument.round_size(usd / mid),
        mid,
        instrument=instrument,
        account=desk.account,
        slippage=0.002,
        now_ms=world.clock.now_ms(),
    )


def incidents(world: World, folder: str = "") -> list[str]:
    """Kinds of incidents in the order they happened."""
    ledger = Ledger(world.folder / folder)
    kinds = [kind for _, kind, _ in ledger.incidents()]
    ledger.close()
    return kinds
