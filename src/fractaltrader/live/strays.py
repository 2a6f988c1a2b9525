"""Orders that should not rest: exits of positions that are gone must never close a later one."""

from collections.abc import Collection, Iterable, Mapping, Set

from fractaltrader.exchange.budget_parameters import Priority
from fractaltrader.exchange.errors import RejectedError
from fractaltrader.exchange.port import OpenOrder
from fractaltrader.live.desk import Desk
from fractaltrader.live.intents import Role, identity_of

# By coin: the decisions behind its position and the entry under way there.
Decisions = Mapping[str, Set[str]]


def is_stray(order: OpenOrder, decisions: Decisions, positions: Collection[str]) -> bool:
    """Whether `order` is ours but belongs to no position and no entry under way.

    In a coin with a position whose decision nobody knows, our orders may be its only protection;
    and a rescue stop belongs to whatever position is there.
    """
    identity = identity_of(order.cloid)
    if identity is None:
        return False
    living = decisions.get(order.coin, frozenset())
    if identity.decision in living:
        return False
    if order.coin not in positions:
        return True
    return bool(living) and identity.role is not Role.RESCUE


def belonging(
    orders: Iterable[OpenOrder], decisions: Decisions, positions: Collection[str]
) -> list[OpenOrder]:
    """The orders that may count as protection: all but the strays."""
    return [order for order in orders if not is_stray(order, decisions, positions)]


async def cancel_strays(
    desk: Desk, orders: Iterable[OpenOrder], positions: Collection[str]
) -> None:
    """Cancel them; orders of others are not touched."""
    for order in orders:
        if not is_stray(order, desk.decisions(), positions):
            continue
        try:
            cancelled = await desk.venue.cancel(order.coin, order.oid)
        except RejectedError as error:
            desk.incident("stray order", f"{order.coin} {order.oid}: {error}", error)
            continue
        what = "cancelled" if cancelled else "already gone"
        desk.incident("stray order", f"{order.coin} {order.kind} {order.oid} {what}")


async def sweep(desk: Desk) -> None:
    """Make sure that nothing rests in coins whose position has just closed; until then they are
    not entered. Raises TransientError or UnknownOutcomeError, then they stay barred."""
    if not desk.unswept:
        return
    venue = desk.venue.with_priority(Priority.PROTECT)
    account, orders = await venue.account(), await venue.open_orders()
    await cancel_strays(desk, orders, account.positions)
    desk.unswept.clear()
