"""Positions that this bot did not open: stop at them, adopt them, or leave them alone."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from itertools import pairwise

from fractaltrader.exchange.errors import TransientError
from fractaltrader.exchange.port import Account, OpenOrder, Position
from fractaltrader.live.desk import Desk
from fractaltrader.live.intents import Role, client_order_id, decision_id
from fractaltrader.live.protection import covering, is_protected
from fractaltrader.live.state import Intent
from fractaltrader.market import Bar, Instrument, Timeframe

ADOPTED = "adopted"
ATR_BARS = 14


async def take_care_of_orphans(desk: Desk, account: Account, orders: list[OpenOrder]) -> None:
    """Do with every position of unknown origin what [reconcile] orphan_positions says; with
    'stop' the caller refuses to go on."""
    desk.untouchable &= account.positions.keys()  # flat: the coin may be traded again
    for position in account.positions.values():
        if desk.intent_for(position) is not None or position.coin in desk.untouchable:
            continue
        match desk.reconcile.orphan_positions:
            case "adopt":
                await _adopt(desk, position, orders)
            case "ignore-and-never-touch":
                desk.untouchable.add(position.coin)
                desk.incident(
                    "orphan position", f"{position.coin} {position.size}: ignored, coin not traded"
                )
            case "stop":
                stop = "under a stop" if is_protected(position, orders) else "without a stop"
                text = f"{position.coin} {position.size} {stop}: the bot ends"
                desk.incident("orphan position", text)


async def _adopt(desk: Desk, position: Position, orders: list[OpenOrder]) -> None:
    coin, now = position.coin, desk.clock.now_ms()
    resting = covering(position, orders)
    if coin not in desk.instruments:
        desk.incident("orphan position", f"{coin} {position.size}: the venue no longer lists it")
        return
    triggers = [order.trigger_price for order in resting if order.trigger_price is not None]
    stop = triggers[0] if triggers else await _stop_price(desk, position)
    intent = intent_to_hold(desk.account, position, stop, now)
    desk.adopt(intent, position.size)
    desk.incident("orphan position", f"{coin} {position.size} adopted with a stop at {stop}")


def intent_to_hold(account: str, position: Position, stop: Decimal, now_ms: int) -> Intent:
    """What stands for the unknown decision behind a position from `now_ms` on: only a stop."""
    decision = decision_id(account, position.coin, ADOPTED, now_ms)
    return Intent(
        coin=position.coin,
        strategy=ADOPTED,
        bar_time=now_ms,
        side=1 if position.size > 0 else -1,
        size=abs(position.size),
        limit=position.entry_price,
        stop=stop,
        target=None,
        entry_cloid=client_order_id(decision, Role.ENTRY),
        stop_cloid=client_order_id(decision, Role.STOP),
        target_cloid=client_order_id(decision, Role.TARGET),
        created_ms=now_ms,
        expires_ms=now_ms,
    )


async def _stop_price(desk: Desk, position: Position) -> Decimal:
    instrument, rules = desk.instruments[position.coin], desk.reconcile
    price = position.mark_price
    distance = price * Decimal(str(rules.adopt_stop_percent)) / 100
    if desk.timeframe is not None:
        try:
            average = await _true_range(desk, position.coin, desk.timeframe)
        except TransientError:
            average = None
        if average:
            distance = Decimal(str(average * rules.adopt_stop_atr))
    return stop_at(position, price, distance, instrument)


async def _true_range(desk: Desk, coin: str, timeframe: Timeframe) -> float | None:
    now = await desk.venue.time_ms()
    bars = await desk.venue.candles(coin, timeframe, now - (ATR_BARS + 2) * timeframe.ms, now)
    closed = [bar for bar in bars if timeframe.close_time(bar.open_time) < now]
    return mean_true_range(closed) if len(closed) > ATR_BARS // 2 else None


def mean_true_range(bars: list[Bar]) -> float:
    """Mean of the true ranges (Wilder) of consecutive bars, in USDC; needs two or more."""
    ranges = [
        max(bar.high, before.close) - min(bar.low, before.close) for before, bar in pairwise(bars)
    ]
    return sum(ranges) / len(ranges)


def stop_at(position: Position, mid: Decimal, distance: Decimal, instrument: Instrument) -> Decimal:
    """A legal stop price `distance` beyond `mid`, and well before the liquidation price."""
    side = 1 if position.size > 0 else -1
    price = max(mid - side * distance, mid / 10)
    liquidation = position.liquidation_price
    if liquidation is not None and (price - liquidation) * side <= 0 < (mid - liquidation) * side:
        price = (mid + liquidation) / 2
    return instrument.round_price(price, ROUND_CEILING if side > 0 else ROUND_FLOOR)
