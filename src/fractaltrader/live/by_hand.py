"""What somebody did on the venue beside the bot: noticed, written down, and repaired elsewhere."""

from fractaltrader.exchange.port import Account, Fill, OpenOrder, OrderRecord
from fractaltrader.live.desk import Desk
from fractaltrader.live.intents import Role, decision_of, identity_of
from fractaltrader.live.protection import covering

# The target filled, or the position was flat: the stop's work is done.
_DONE = frozenset({"siblingFilledCanceled", "reduceOnlyCanceled"})


def is_by_hand(fill: Fill) -> bool:
    """Whether an execution came from an order that is not the bot's."""
    return identity_of(fill.cloid) is None


def lost_stop(desk: Desk, record: OrderRecord) -> str | None:
    """What happened to the stop of an open position, when `record` says that it rests no longer
    without having fired; None when nothing did."""
    identity = identity_of(record.cloid)
    if identity is None or identity.role is not Role.STOP or not _ended_early(record.status):
        return None
    epoch = desk.book.epochs.get(record.coin)
    if epoch is None or epoch.intent is None or decision_of(epoch.intent) != identity.decision:
        return None
    return f"{record.coin} stop {record.oid} {record.status}"


def _ended_early(status: str) -> bool:
    """Cancelled or refused, for whatever reason the venue names (hyperliquid.md 4)."""
    if status in _DONE:
        return False
    word = status.lower()
    return "cancel" in word or word.endswith("rejected")


def notice_orders(desk: Desk, account: Account, orders: list[OpenOrder]) -> None:
    """Write down, once each, orders that are not ours and stops that were moved; a stop of
    somebody else's making counts as protection all the same."""
    unusual = {}
    for order in orders:
        if (what := _unusual(desk, account, order)) is not None:
            unusual[order.oid] = what
    for oid in unusual.keys() - desk.noticed:
        desk.incident(*unusual[oid])
    desk.noticed = set(unusual)


def _unusual(desk: Desk, account: Account, order: OpenOrder) -> tuple[str, str] | None:
    identity = identity_of(order.cloid)
    price = order.limit_price if order.trigger_price is None else order.trigger_price
    text = f"{order.coin} {order.kind} {order.side.name.lower()} {order.size} at {price}"
    if identity is not None:
        epoch = desk.book.epochs.get(order.coin)
        intent = epoch.intent if epoch is not None else None
        if identity.role is Role.STOP and intent is not None and price != intent.stop:
            return "stop moved", f"{text}: ours was at {intent.stop}; the new one stays"
        return None
    position = account.positions.get(order.coin)
    if position is not None and covering(position, [order]):
        return "stop by hand", f"{text}: taken as protection"
    return "order by hand", f"{text}: left alone"
