"""Stops and targets: firing, one cancelling the other, and following the position."""

from decimal import Decimal

from fractaltrader.exchange.port import BUY
from fractaltrader.simulator.clearing import accounts
from fractaltrader.simulator.core import Core
from fractaltrader.simulator.numbers import ZERO
from fractaltrader.simulator.state import Order
from fractaltrader.simulator.trading.book import is_fired
from fractaltrader.simulator.trading.lifecycle import (
    enliven,
    finish,
    leave_book,
    live_siblings,
    waiting_children,
)
from fractaltrader.simulator.trading.matching import take
from fractaltrader.simulator.trading.order_rules import check_execution

# A market stop or target accepts prices up to 10 % beyond the mark (hyperliquid.md 3.3).
TOLERANCE = Decimal("0.1")


def fire(core: Core, order: Order) -> None:
    """Execute an armed trigger whose price the mark has reached."""
    leave_book(core, order)
    if order.reduce_only:
        left = accounts.reducible(core.account(order.user), order.coin, order.side)
        if left == 0:
            finish(core, order, "reduceOnlyCanceled")
            return
        order.size = left if order.follows_position else min(order.size, left)
    core.set_status(order, "triggered")
    rejection = check_execution(core, order, "")
    if rejection is not None:
        finish(core, order, rejection.status)
    elif order.terms.is_market:
        _execute_at_market(core, order)
    else:
        take(core, order, order.price)
        if order.size > 0:
            enliven(core, order, "resting")
            core.touched[(order.user, order.coin)] = None
        else:
            finish(core, order, "filled")


def _execute_at_market(core: Core, order: Order) -> None:
    worst = 1 + TOLERANCE if order.side is BUY else 1 - TOLERANCE
    take(core, order, core.mark(order.coin) * worst)
    if order.size == 0:
        finish(core, order, "filled")
    else:
        finish(core, order, "canceled" if order.filled else "marketOrderNoLiquidityRejected")


def arm(core: Core, order: Order) -> None:
    """Make a trigger live; it fires at once when the mark is already beyond its price."""
    enliven(core, order, "armed")
    core.set_status(order, "open")
    if is_fired(order, core.mark(order.coin)):
        fire(core, order)


def settle_consequences(core: Core) -> None:
    """Work off what executions caused, in order, until nothing is left."""
    while core.filled or core.touched:
        if core.filled:
            order = core.state.orders.get(core.filled.popleft())
            if order is not None:
                _family_of_filled(core, order)
        else:
            user, coin = next(iter(core.touched))
            del core.touched[(user, coin)]
            _enforce_reduce_only(core, user, coin)


def _family_of_filled(core: Core, order: Order) -> None:
    for sibling in live_siblings(core, order):
        # One for the whole position stands for what is left of it.
        user, coin, side = sibling.user, sibling.coin, sibling.side
        stays = sibling.follows_position and accounts.reducible(core.account(user), coin, side)
        if not stays:
            finish(core, sibling, "siblingFilledCanceled")
    for child in waiting_children(core, order):
        # An earlier child may have fired at once and ended this one.
        if child.phase != "waiting":
            continue
        if accounts.reducible(core.account(child.user), child.coin, child.side) == 0:
            finish(core, child, "reduceOnlyCanceled")
        else:
            arm(core, child)


def _enforce_reduce_only(core: Core, user: str, coin: str) -> None:
    """Cancel what can no longer reduce and shrink resting orders to the position."""
    account = core.account(user)
    orders = sorted(core.books[coin].reducers.get(user, {}).values(), key=lambda order: order.rank)
    for order in orders:
        if accounts.reducible(account, coin, order.side) == 0 and order.is_live:
            finish(core, order, "reduceOnlyCanceled")
    _fit_resting(core, [order for order in orders if order.phase == "resting"])


def _fit_resting(core: Core, resting: list[Order]) -> None:
    """Together they must not exceed the position: the earlier ones go first."""
    if not resting:
        return
    # All on one side: those of the other have just been cancelled.
    first = resting[0]
    left = accounts.reducible(core.account(first.user), first.coin, first.side)
    for order in resting:
        if order.size > left:
            core.books[order.coin].shrink(order, order.size - left)
    excess = sum((order.size for order in resting), ZERO) - left
    for order in resting:
        if excess <= 0:
            return
        excess -= order.size
        finish(core, order, "reduceOnlyCanceled")
