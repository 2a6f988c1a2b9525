"""Close positions at the market, reduce-only; their stops rest on the exchange until they are flat.

Sent again every heartbeat until the venue says flat. That is safe when an answer was lost: a
reduce-only order can neither open nor turn a position, and after its expiry it is dead.
"""

from collections.abc import Collection
from decimal import Decimal

from fractaltrader.exchange.budget_parameters import Priority
from fractaltrader.exchange.errors import RejectedError, UnknownOutcomeError
from fractaltrader.exchange.port import Position
from fractaltrader.live.desk import Desk
from fractaltrader.live.intents import (
    Role,
    client_order_id,
    closing_order,
    decision_id,
    exit_expiry,
)
from fractaltrader.live.protection import closing_prices
from fractaltrader.live.state import ALL_COINS


async def flatten(desk: Desk, coins: Collection[str]) -> bool:
    """Send an order to close each position in `coins` (ALL_COINS: every position); True once the
    venue shows none of them and no entry is under way.

    Raises TransientError when the venue cannot be asked.
    """
    venue = desk.venue.with_priority(Priority.PROTECT)
    account = await venue.account()
    positions = [
        position
        for position in account.positions.values()
        if _is_meant(position.coin, coins) and position.coin not in desk.untouchable
    ]
    if not positions:
        return not any(_is_meant(coin, coins) for coin in desk.intents)
    prices = await closing_prices(venue, positions)
    for position in positions:
        if position.coin not in desk.instruments:
            desk.incident("flatten refused", f"{position.coin}: the venue no longer lists it")
            continue
        await _close(desk, position, prices[position.coin])
    return False


def _is_meant(coin: str, coins: Collection[str]) -> bool:
    return coin in coins or ALL_COINS in coins


async def _close(desk: Desk, position: Position, price: Decimal) -> None:
    now, coin = desk.clock.now_ms(), position.coin
    decision = decision_id(desk.account, coin, "flatten", now)
    cloid = client_order_id(decision, Role.FLATTEN)
    order = closing_order(desk.instruments[coin], position.size, price, cloid)
    try:
        (outcome,) = await desk.venue.place(
            [order], bracket=False, expires_ms=exit_expiry(now, desk.venue.skew)
        )
    except (RejectedError, UnknownOutcomeError) as error:
        desk.incident("flatten refused", f"{coin}: {error}", error)
        desk.breaker.error(error)
    else:
        detail = outcome.error or f"filled {outcome.filled} at {outcome.average_price}"
        desk.incident("flattening", f"{coin} {position.size}: {detail}")
