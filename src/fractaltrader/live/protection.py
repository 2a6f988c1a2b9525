"""No position without a stop that rests on the exchange: verify, complete, or flatten."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Literal

from fractaltrader.exchange.budget_parameters import Priority
from fractaltrader.exchange.errors import RejectedError, TransientError
from fractaltrader.exchange.port import (
    OpenOrder,
    OrderOutcome,
    OutcomeKind,
    Position,
    Side,
    Venue,
)
from fractaltrader.live.desk import Desk
from fractaltrader.live.intents import (
    AFTER_PART,
    exit_expiry,
    exit_orders,
    exit_price,
    flatten_order,
)
from fractaltrader.live.state import Intent
from fractaltrader.live.strays import belonging
from fractaltrader.market import Instrument
from fractaltrader.market.instrument import MIN_NOTIONAL

# While the bot runs and the venue answers, no position lacks its stop for longer: what the stream
# tells is repaired at once, what it does not tell by the timer (60 s), and before that an entry of
# unknown outcome may have to expire (13 s) and answers take their time.
NAKED_BOUND_MS = 90_000


def covering(
    position: Position, orders: Iterable[OpenOrder], kind: Literal["sl", "tp"] = "sl"
) -> list[OpenOrder]:
    """Resting reduce-only stops (or targets) that close `position`."""
    closing = Side.SELL if position.size > 0 else Side.BUY
    return [
        order
        for order in orders
        if order.coin == position.coin
        and order.kind == kind
        and order.reduce_only
        and order.side is closing
    ]


def uncovered(
    position: Position, orders: Iterable[OpenOrder], kind: Literal["sl", "tp"] = "sl"
) -> Decimal:
    """How much of `position` no resting stop (or target) would close, base units."""
    exits = covering(position, orders, kind)
    if any(order.whole_position for order in exits):
        return Decimal(0)
    covered = sum((order.size for order in exits), Decimal(0))
    return max(abs(position.size) - covered, Decimal(0))


def is_protected(position: Position, orders: Iterable[OpenOrder]) -> bool:
    """Whether resting reduce-only stops cover the whole position."""
    return not uncovered(position, orders)


def stop_size(
    position: Position, lacking: Decimal, trigger: Decimal, instrument: Instrument
) -> Decimal:
    """The size of the stop to place where `lacking` has none: all of the position when the venue
    would find the rest alone too small (10 USDC, but whole positions are exempt)."""
    side = 1 if position.size > 0 else -1
    enough = lacking * exit_price(trigger, side, instrument) >= MIN_NOTIONAL
    return lacking if enough else abs(position.size)


async def closing_prices(venue: Venue, positions: Iterable[Position]) -> dict[str, Decimal]:
    """By coin: where an order to close can match, the book's middle. Where the venue does not tell
    it, what it values the position by must do."""
    try:
        mids = await venue.mid_prices()
    except TransientError:
        mids = {}
    return {position.coin: mids.get(position.coin, position.mark_price) for position in positions}


async def protect_fill(desk: Desk, intent: Intent, size: Decimal) -> None:
    """Attach stop and target to the part of an entry that filled, known from its answer alone: one
    request, for every question asked before it would be time without a stop."""
    await _place_exits(desk, intent, size, size, attempt=AFTER_PART, whole=True)


async def protect_position(desk: Desk, coin: str) -> None:
    """Make sure that stops cover all of `coin`'s position: complete them, or flatten where the
    venue takes none."""
    venue = desk.venue.with_priority(Priority.PROTECT)
    account = await venue.account()
    position = account.positions.get(coin)
    if position is None or coin in desk.untouchable:
        return
    orders = belonging(await venue.open_orders(), desk.decisions(), account.positions)
    if is_protected(position, orders):
        return
    intent = desk.intent_for(position)
    if intent is None:
        desk.incident("naked foreign position", f"{coin} {position.size} has no stop")
        return
    lacking = uncovered(position, orders)
    desk.incident("naked position", f"{coin}: {lacking} of {position.size} has no stop; placing it")
    attempt = desk.book.repaired(coin).repairs if coin in desk.book.epochs else 1
    desk.write()
    if not await _completed(desk, intent, position, orders, attempt):
        await _flatten(desk, intent, position, attempt)


async def _completed(
    desk: Desk,
    intent: Intent,
    position: Position,
    orders: list[OpenOrder],
    attempt: int,
) -> bool:
    """Place what the stop, and with it the target, lack of the position's size."""
    if (position.mark_price - intent.stop) * intent.side <= 0:
        return False  # price is already beyond the stop
    instrument = desk.instruments[position.coin]
    stop = stop_size(position, uncovered(position, orders), intent.stop, instrument)
    target = uncovered(position, orders, "tp")
    # What is attached to the position would follow all of it, so not when this is for the rest.
    whole = stop == abs(position.size)
    return await _place_exits(desk, intent, stop, target, attempt=attempt, whole=whole)


async def _place_exits(
    desk: Desk, intent: Intent, stop: Decimal, target: Decimal, *, attempt: int, whole: bool
) -> bool:
    """Send a stop and a target for these sizes, attached to the `whole` position or not; a target
    too small for the venue is left out. Whether the venue took the stop."""
    instrument = desk.instruments[intent.coin]
    if intent.target is not None:
        worth = target * exit_price(intent.target, intent.side, instrument)
        target = target if worth >= MIN_NOTIONAL else Decimal(0)
    legs = exit_orders(intent, instrument, stop, target, attempt=attempt)
    expires = exit_expiry(desk.clock.now_ms(), desk.venue.skew)
    try:
        if whole:
            outcome, *_ = await desk.venue.protect(legs, expires_ms=expires)
        else:
            outcome, *_ = await desk.venue.place(legs, bracket=False, expires_ms=expires)
    except RejectedError as error:
        desk.incident("stop refused", f"{intent.coin}: {error}", error)
        return False
    return _accepted(desk, intent.coin, outcome)


def _accepted(desk: Desk, coin: str, stop: OrderOutcome) -> bool:
    if stop.kind is not OutcomeKind.REJECTED:
        return True
    reason = stop.error or "rejected"
    refusal = stop.classified.error(reason) if stop.classified else None
    desk.incident("stop refused", f"{coin}: {reason}", refusal)
    return False


async def _flatten(desk: Desk, intent: Intent, position: Position, attempt: int) -> None:
    prices = await closing_prices(desk.venue.with_priority(Priority.PROTECT), [position])
    order = flatten_order(
        intent, desk.instruments[position.coin], position.size, prices[position.coin], attempt
    )
    expires = exit_expiry(desk.clock.now_ms(), desk.venue.skew)
    try:
        (outcome,) = await desk.venue.place([order], bracket=False, expires_ms=expires)
    except RejectedError as error:
        # The reconciliation timer comes back to it.
        desk.incident("flatten refused", f"{position.coin}: {error}", error)
    else:
        detail = outcome.error or str(outcome.kind)
        desk.incident("flattened", f"{position.coin} {position.size}: {detail}")
