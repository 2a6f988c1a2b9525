"""An order from acceptance to its end, and what its end means for its family."""

from itertools import islice

from fractaltrader.simulator.core import ORDERS_KEPT, Core
from fractaltrader.simulator.numbers import ZERO, truncated, venue_number
from fractaltrader.simulator.state import Account, Order, Phase

# Finished orders are forgotten in lots: cheaper than one by one.
FORGOTTEN_AT_ONCE = 100


def register(core: Core, order: Order) -> None:
    """Make `order` known to its owner and to every later query."""
    core.state.orders[order.oid] = order
    account = core.account(order.user)
    if order.cloid is not None:
        account.cloids[order.cloid] = order.oid
    account.done[order.oid] = None
    _forget_oldest(core, account)


def oid_of_cloid(core: Core, user: str, cloid: str) -> int:
    """The live order of that cloid, else the newest that had it; 0 when there is none.

    Cloids may repeat: a later order that was refused does not hide one that still lives.
    """
    account = core.account(user)
    newest = account.cloids.get(cloid, 0)
    known = core.state.orders.get(newest)
    if known is None or known.is_live:
        return newest
    live = (oid for oid in reversed(account.live) if core.state.orders[oid].cloid == cloid)
    return next(live, newest)


def unregister(core: Core, order: Order) -> None:
    """As if `order` had never been placed."""
    account = core.account(order.user)
    account.live.pop(order.oid, None)
    account.done.pop(order.oid, None)
    core.state.orders.pop(order.oid, None)
    if order.cloid is not None and account.cloids.get(order.cloid) == order.oid:
        del account.cloids[order.cloid]


def enliven(core: Core, order: Order, phase: Phase) -> None:
    """Let `order` rest, arm or wait; queues it in the book unless it waits."""
    if order.phase == "done":
        account = core.account(order.user)
        del account.done[order.oid]
        account.live[order.oid] = None
    order.phase = phase
    if phase != "waiting":
        order.rank = core.new_rank()
        core.books[order.coin].add(order)


def leave_book(core: Core, order: Order) -> None:
    """Take a live order out of its queue; it is done until somebody enlivens it again."""
    if order.phase == "done":
        return
    if order.phase != "waiting":
        core.books[order.coin].remove(order)
    account = core.account(order.user)
    del account.live[order.oid]
    account.done[order.oid] = None
    _forget_oldest(core, account)
    order.phase = "done"


def finish(core: Core, order: Order, status: str) -> None:
    """End `order` with `status`; children that still wait end with it unless it has filled.

    A parent that filled in part and was cancelled for margin releases its children too
    (hyperliquid.md 3.3).
    """
    leave_book(core, order)
    core.set_status(order, status)
    if status == "filled" or (status == "marginCanceled" and order.filled > 0):
        if order.children or order.siblings:
            core.filled.append(order.oid)
        return
    if order.children:
        for child in waiting_children(core, order):
            finish(core, child, "canceled")


def finish_all(core: Core, orders: list[Order], status: str) -> None:
    """End the live ones of `orders` with `status`, each once.

    Children go before their parent, which would take them along as merely cancelled.
    """
    for order in sorted(orders, key=lambda order: (order.parent is None, -order.oid)):
        if order.is_live:
            finish(core, order, status)


def waiting_children(core: Core, order: Order) -> list[Order]:
    """Children that wait for `order` to fill."""
    known = (core.state.orders.get(oid) for oid in order.children)
    return [child for child in known if child is not None and child.phase == "waiting"]


def live_siblings(core: Core, order: Order) -> list[Order]:
    """The other side of a stop-and-target pair, while it lives."""
    known = (core.state.orders.get(oid) for oid in order.siblings)
    return [other for other in known if other is not None and other.is_live]


def _forget_oldest(core: Core, account: Account) -> None:
    """Keep memory bounded: the venue serves the newest 2000 finished orders."""
    if len(account.done) < ORDERS_KEPT + FORGOTTEN_AT_ONCE:
        return
    for oid in list(islice(account.done, FORGOTTEN_AT_ONCE)):
        del account.done[oid]
        order = core.state.orders.pop(oid)
        if order.cloid is not None and account.cloids.get(order.cloid) == oid:
            del account.cloids[order.cloid]


def average_price(core: Core, order: Order) -> str:
    """Average price of what has executed, as answers to orders state it."""
    decimals = 6 - core.instruments[order.coin].sz_decimals
    price = order.filled_notional / order.filled if order.filled else ZERO
    return venue_number(truncated(price, decimals))
