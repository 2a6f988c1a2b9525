"""Bring what we know in line with what the venue says: at start, on reconnect and on a timer."""

from fractaltrader.exchange.budget_parameters import Priority
from fractaltrader.exchange.errors import CriticalError
from fractaltrader.exchange.port import Account, OpenOrder
from fractaltrader.live.by_hand import notice_orders
from fractaltrader.live.desk import Desk
from fractaltrader.live.executor import Executor
from fractaltrader.live.orphans import take_care_of_orphans
from fractaltrader.live.protection import is_protected, protect_position
from fractaltrader.live.strays import belonging, cancel_strays


async def reconcile(desk: Desk, executor: Executor) -> None:
    """Missed fills, positions, stops, open intentions and stray orders.

    Raises TransientError or UnknownOutcomeError when the venue cannot be asked, CriticalError for
    a position that this bot did not open and is told to stop at. What can be protected is
    protected first.
    """
    if desk.book.epochs:
        # Stops first, and at protection's priority: what follows may have to wait for the budget.
        await _protect(desk, *await _look(desk, Priority.PROTECT))
    await desk.catch_up()
    venue_ms = await desk.venue.time_ms()  # this compares the clocks too
    account, orders = await _look(desk)
    await _protect(desk, account, orders)
    if desk.intents:
        # This may wait for an order to expire, so everything else has its stop by now.
        await executor.settle_all()
        account, orders = await _look(desk)
    account = await _agreed(desk, account)
    await take_care_of_orphans(desk, account, orders)
    await _protect(desk, account, orders)
    notice_orders(desk, account, orders)
    await cancel_strays(desk, orders, account.positions)
    desk.unswept.clear()
    await desk.learn_transfers(venue_ms)
    desk.breaker.account(await desk.venue.account())  # of after what was just learned
    desk.breaker.reconciled(_differences(desk, account))
    await desk.learn_funding(venue_ms)
    refuse_foreign(desk, account)


async def _look(
    desk: Desk, priority: Priority = Priority.RECONCILE
) -> tuple[Account, list[OpenOrder]]:
    venue = desk.venue.with_priority(priority)
    account = await venue.account()
    orders = await venue.open_orders()
    desk.view.account, desk.view.orders = account, orders
    return account, orders


async def _protect(desk: Desk, account: Account, orders: list[OpenOrder]) -> None:
    resting = belonging(orders, desk.decisions(), account.positions)
    for position in account.positions.values():
        if desk.intent_for(position) is not None and not is_protected(position, resting):
            await protect_position(desk, position.coin)


async def _agreed(desk: Desk, account: Account) -> Account:
    """Make the book agree with the venue, as far as executions explain the difference."""
    if not _differences(desk, account):
        return account
    # Executions may have arrived out of order, or happened between the two questions.
    desk.refold(desk.book.epochs)
    await desk.catch_up()
    account = await desk.venue.account()
    desk.write()
    for difference in _differences(desk, account):
        desk.incident("position differs", difference)
    return account


def refuse_foreign(desk: Desk, account: Account) -> None:
    """Raise CriticalError for a position that this bot did not open and may not ignore."""
    for coin, position in account.positions.items():
        if coin not in desk.untouchable and desk.intent_for(position) is None:
            raise CriticalError(
                f"position: {coin} {position.size} was not opened by this bot; close it on the "
                "venue, give the bot an account of its own, or set [reconcile] orphan_positions"
            )


def _differences(desk: Desk, account: Account) -> list[str]:
    """Coins of which the venue holds another size than the book; what we know nothing of at all is
    an orphan, not a difference."""
    ours = {coin: epoch.size for coin, epoch in desk.book.epochs.items()}
    theirs = {
        coin: position.size
        for coin, position in account.positions.items()
        if coin in ours or desk.intents_in(coin)
    }
    return [
        f"{coin}: ours {ours.get(coin, 0)}, venue {theirs.get(coin, 0)}"
        for coin in sorted(ours.keys() | theirs.keys())
        if ours.get(coin, 0) != theirs.get(coin, 0) and coin not in desk.untouchable
    ]
