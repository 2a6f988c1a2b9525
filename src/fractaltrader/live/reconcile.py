"""Bring what we know in line with what the venue says: at start, on reconnect and on a timer."""

from fractaltrader.exchange.errors import CriticalError, RejectedError
from fractaltrader.exchange.port import Account, OpenOrder
from fractaltrader.live.desk import Desk
from fractaltrader.live.executor import Executor
from fractaltrader.live.intents import exit_cloids
from fractaltrader.live.protection import is_protected, protect_position

# Exits of this many repairs of a position are recognised as ours.
ATTEMPTS_KNOWN = 10


async def reconcile(desk: Desk, executor: Executor) -> None:
    """Missed fills, open intentions, positions, stops and stray orders.

    Raises TransientError or UnknownOutcomeError when the venue cannot be asked, CriticalError for
    a position that this bot did not open: it would be wrong to trade around it and wrong to touch
    it. Our own positions are protected first.
    """
    await desk.catch_up()
    await executor.settle_all()
    account = await desk.venue.account()
    orders = await desk.venue.open_orders()
    desk.view.account, desk.view.orders = account, orders
    if _differences(desk, account):
        # Executions may have arrived out of order; in their true order the book may agree.
        desk.refold(desk.book.epochs)
        desk.write()
    for difference in _differences(desk, account):
        desk.incident("position differs", difference)
    for position in account.positions.values():
        if not is_protected(position, orders):
            await protect_position(desk, position.coin)
    await _cancel_strays(desk, account, orders)
    refuse_foreign(desk, account)


def refuse_foreign(desk: Desk, account: Account) -> None:
    """Raise CriticalError for a position that this bot did not open."""
    for coin, position in account.positions.items():
        epoch = desk.book.epochs.get(coin)
        if coin not in desk.intents and (epoch is None or epoch.intent is None):
            raise CriticalError(
                f"position: {coin} {position.size} was not opened by this bot; close it on the "
                "venue or give the bot an account of its own"
            )


def _differences(desk: Desk, account: Account) -> list[str]:
    ours = {coin: epoch.size for coin, epoch in desk.book.epochs.items()}
    theirs = {coin: position.size for coin, position in account.positions.items()}
    return [
        f"{coin}: ours {ours.get(coin, 0)}, venue {theirs.get(coin, 0)}"
        for coin in sorted(ours.keys() | theirs.keys())
        if ours.get(coin, 0) != theirs.get(coin, 0)
    ]


async def _cancel_strays(desk: Desk, account: Account, orders: list[OpenOrder]) -> None:
    """Cancel our own exits whose position is gone; orders of others are not touched."""
    ours = {
        cloid
        for intent in desk.ledger.intents()
        for attempt in range(ATTEMPTS_KNOWN)
        for cloid in exit_cloids(intent, attempt)
    }
    for order in orders:
        flat = order.coin not in account.positions and order.coin not in desk.intents
        if flat and order.cloid in ours and order.cloid is not None:
            try:
                cancelled = await desk.venue.cancel(order.coin, order.cloid)
            except RejectedError as error:
                desk.incident("stray order", f"{order.coin} {order.oid}: {error}")
                continue
            what = "cancelled" if cancelled else "already gone"
            desk.incident("stray order", f"{order.coin} {order.kind} {order.oid} {what}")
