"""No position without a stop that rests on the exchange: verify, repair, or flatten."""

from decimal import Decimal

from fractaltrader.exchange.errors import RejectedError
from fractaltrader.exchange.port import OpenOrder, OutcomeKind, Position, Side
from fractaltrader.live.desk import Desk
from fractaltrader.live.intents import exit_orders, flatten_order
from fractaltrader.live.state import Intent


def is_protected(position: Position, orders: list[OpenOrder]) -> bool:
    """Whether resting reduce-only stops cover the whole position."""
    closing = Side.SELL if position.size > 0 else Side.BUY
    covered = sum(
        (
            order.size
            for order in orders
            if order.coin == position.coin
            and order.kind == "sl"
            and order.reduce_only
            and order.side is closing
        ),
        Decimal(0),
    )
    return covered >= abs(position.size)


async def protect_position(desk: Desk, coin: str) -> None:
    """Make sure `coin`'s position has its stop; place it anew or flatten where it has none."""
    account = await desk.venue.account()
    position = account.positions.get(coin)
    if position is None or is_protected(position, await desk.venue.open_orders()):
        return
    epoch = desk.book.epochs.get(coin)
    intent = epoch.intent if epoch is not None else desk.intents.get(coin)
    if intent is None:
        desk.incident("naked foreign position", f"{coin} {position.size} has no stop")
        return
    mid = (await desk.venue.mid_prices()).get(coin)
    if mid is None:
        desk.incident("naked position", f"{coin} {position.size}: the venue tells no price")
        return
    desk.incident("naked position", f"{coin} {position.size} has no stop; placing it anew")
    attempt = desk.book.repaired(coin).repairs if epoch is not None else 1
    desk.write()
    if not await _placed_anew(desk, intent, position, mid, attempt):
        await _flatten(desk, intent, position, mid, attempt)


async def _placed_anew(
    desk: Desk, intent: Intent, position: Position, mid: Decimal, attempt: int
) -> bool:
    if (mid - intent.stop) * intent.side <= 0:
        return False  # price is already beyond the stop
    orders = exit_orders(
        intent, desk.instruments[position.coin], abs(position.size), attempt=attempt
    )
    try:
        stop, *_ = await desk.venue.protect(orders)
    except RejectedError as error:
        desk.incident("stop refused", f"{position.coin}: {error}")
        return False
    return stop.kind is not OutcomeKind.REJECTED


async def _flatten(
    desk: Desk, intent: Intent, position: Position, mid: Decimal, attempt: int
) -> None:
    order = flatten_order(intent, desk.instruments[position.coin], position.size, mid, attempt)
    try:
        (outcome,) = await desk.venue.place([order], bracket=False)
    except RejectedError as error:
        # The reconciliation timer comes back to it.
        desk.incident("flatten refused", f"{position.coin}: {error}")
    else:
        detail = outcome.error or str(outcome.kind)
        desk.incident("flattened", f"{position.coin} {position.size}: {detail}")
