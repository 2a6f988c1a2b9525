"""Booking an execution: fee, profit, isolated margin, volumes and who holds what.

The one way in which trades change accounts; `accounts.execute` is the arithmetic below it.
"""

from decimal import Decimal

from fractaltrader.exchange.port import Side
from fractaltrader.simulator.clearing import fees, isolated, margin
from fractaltrader.simulator.clearing.accounts import Execution, execute
from fractaltrader.simulator.core import Core
from fractaltrader.simulator.numbers import ZERO
from fractaltrader.simulator.state import Account


def book(
    core: Core,
    account: Account,
    coin: str,
    side: Side,
    price: Decimal,
    size: Decimal,
    *,
    crossed: bool,
    builder_fee: Decimal = ZERO,
) -> tuple[Execution, Decimal]:
    """Book a user's side of an execution: what it did and the whole fee (below zero: a rebate).

    `builder_fee` is charged on top of the venue's and goes elsewhere; USDC.
    """
    fee = fees.charge(core, account, price * size, crossed=crossed) + builder_fee
    return _execute(core, account, coin, side, price, size, fee), fee


def book_without_fee(
    core: Core, account: Account, coin: str, side: Side, price: Decimal, size: Decimal
) -> Execution:
    """Book an execution of the modelled market or of the backstop."""
    return _execute(core, account, coin, side, price, size, ZERO)


def _execute(
    core: Core,
    account: Account,
    coin: str,
    side: Side,
    price: Decimal,
    size: Decimal,
    fee: Decimal,
) -> Execution:
    held = account.positions.get(coin)
    start, own = (ZERO, None) if held is None else (held.size, held.isolated)
    alone = own is not None if start else margin.is_isolated(core, account, coin)
    execution = execute(account, coin, side, price, size, fee)
    position = account.positions.get(coin)
    if position is None:
        core.holders[coin].pop(account.address, None)
        return execution
    if not start:
        core.holders[coin][account.address] = account
    if not start or (start > ZERO) != (position.size > ZERO):
        position.funding_since_open = ZERO
    position.funding_since_change = ZERO
    if alone:
        isolated.rebalance(core, account, coin, own, execution, (side, price, size), fee)
    return execution
