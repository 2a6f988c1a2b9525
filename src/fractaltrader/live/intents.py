"""From a decision to the three orders of an entry, with ids derived from the decision itself.

A client order id of ours can be read back: `0x66726163` says that it is ours, 16 hex digits which
decision it belongs to, two its role, six the attempt. So an order that rests on the venue tells by
itself whose protection it is, whatever files were lost meanwhile.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from enum import IntEnum

from fractaltrader.exchange.port import ClockSkew, OrderRequest, Side, Trigger
from fractaltrader.live.state import Intent
from fractaltrader.market import Instrument
from fractaltrader.market.instrument import MIN_NOTIONAL
from fractaltrader.strategies.base import Signal

# A block takes about a second; an entry that has not executed by then must not execute later.
ENTRY_LIFETIME_MS = 10_000
# An order that closes or protects belongs to one position: it must not arrive in the next one. But
# it must arrive, so a clock may be wrong by more than for an entry.
EXIT_LIFETIME_MS = 60_000
# How far beyond its trigger a stop or target may fill; the venue itself tolerates 10 %.
TRIGGER_SLIPPAGE = Decimal("0.08")

OURS = "0x66726163"
DECISION_DIGITS = 16
ATTEMPTS = 1 << 24
# The guard counts its attempts from here, so that its ids are never the bot's.
GUARD_ATTEMPTS = 1 << 23
# The attempt that protects an entry which filled in part, before its execution is in the book.
AFTER_PART = GUARD_ATTEMPTS - 1


class Role(IntEnum):
    """What an order of a decision is for."""

    ENTRY = 0
    STOP = 1
    TARGET = 2
    FLATTEN = 3
    RESCUE = 4  # the guard's stop for a position whose decision it cannot find


@dataclass(frozen=True, slots=True)
class OrderIdentity:
    """What a client order id of ours says."""

    decision: str
    role: Role
    attempt: int


def decision_id(account: str, coin: str, strategy: str, time_ms: int) -> str:
    """16 hex digits of a decision, the same after every restart."""
    text = f"{account}|{coin}|{strategy}|{time_ms}"
    return hashlib.blake2b(text.encode(), digest_size=DECISION_DIGITS // 2).hexdigest()


def client_order_id(decision: str, role: Role, attempt: int = 0) -> str:
    """The id of an order that this decision would place; repairs count their attempts."""
    return f"{OURS}{decision}{role:02x}{attempt % ATTEMPTS:06x}"


def identity_of(cloid: str | None) -> OrderIdentity | None:
    """What `cloid` says; None when the order is not ours."""
    if cloid is None or not cloid.startswith(OURS):
        return None
    rest = cloid[len(OURS) :]
    try:
        role, attempt = Role(int(rest[DECISION_DIGITS:-6], 16)), int(rest[-6:], 16)
    except ValueError:
        return None
    return OrderIdentity(rest[:DECISION_DIGITS], role, attempt)


def decision_of(intent: Intent) -> str:
    """The decision that `intent` carries out."""
    return intent.entry_cloid[len(OURS) : len(OURS) + DECISION_DIGITS]


def unlearned(intents: Iterable[Intent], decided: Mapping[str, int]) -> dict[str, Intent]:
    """By coin: the newest of `intents`, oldest first, whose bar is later than the newest one that
    the state knows was acted on. Its order may have left before the state learned of it; an adopted
    position has no order of that kind, and no target."""
    return {
        intent.coin: intent
        for intent in intents
        if intent.target is not None and intent.bar_time > decided.get(intent.coin, -1)
    }


def make_intent(
    signal: Signal,
    size: Decimal,
    price: float,
    *,
    instrument: Instrument,
    account: str,
    slippage: float,
    now_ms: int,
) -> Intent:
    """The intention to enter `signal` at `price`, paying at most `slippage` (a fraction).

    Raises ValueError when the coin's tick leaves no legal price.
    """
    away = ROUND_FLOOR if signal.side > 0 else ROUND_CEILING  # a stop is never rounded inwards
    decision = decision_id(account, signal.coin, signal.strategy, signal.bar_time)
    return Intent(
        coin=signal.coin,
        strategy=signal.strategy,
        bar_time=signal.bar_time,
        side=signal.side,
        size=size,
        limit=instrument.round_price(price * (1 + signal.side * slippage)),
        stop=instrument.round_price(signal.stop, away),
        target=instrument.round_price(signal.target),
        entry_cloid=client_order_id(decision, Role.ENTRY),
        stop_cloid=client_order_id(decision, Role.STOP),
        target_cloid=client_order_id(decision, Role.TARGET),
        created_ms=now_ms,
        expires_ms=now_ms + ENTRY_LIFETIME_MS,
    )


def illegal(intent: Intent, instrument: Instrument) -> str | None:
    """Why the venue would refuse an order of this entry as it stands; None when it would not."""
    if not instrument.is_legal_size(intent.size):
        return f"size {intent.size} is not a whole number of lots of {instrument.lot}"
    side, target = intent.side, intent.target
    prices = (intent.limit, intent.stop) if target is None else (intent.limit, intent.stop, target)
    if min(prices) <= 0:
        return f"limit {intent.limit}, stop {intent.stop}, target {target}: one is no price"
    # How far an exit may fill beyond its trigger is rounded when its order is made.
    for price in prices:
        if not instrument.is_legal_price(price):
            return f"price {price} is not on a tick"
    if intent.limit * intent.size < MIN_NOTIONAL:
        return f"{intent.limit * intent.size:.2f} USDC is below the least of {MIN_NOTIONAL}"
    if intent.stop * side >= intent.limit * side:
        return f"stop {intent.stop} and entry limit {intent.limit} fall on one tick"
    if target is not None and target * side <= intent.stop * side:
        return f"stop {intent.stop} and target {target} fall on one tick"
    return None


def exit_expiry(now_ms: int, skew: ClockSkew | None) -> int:
    """When an order that closes or protects dies; `now_ms` by our clock. One that is behind the
    venue's does not make it die too early: nothing matters more than that it arrives."""
    behind = max(skew.ahead_ms, 0) if skew is not None else 0
    return now_ms + behind + EXIT_LIFETIME_MS


def entry_side(intent: Intent) -> Side:
    """The side that opens the position."""
    return Side.BUY if intent.side > 0 else Side.SELL


def entry_orders(intent: Intent, instrument: Instrument) -> list[OrderRequest]:
    """Entry, stop and target, to leave in one signed action."""
    entry = OrderRequest(
        instrument,
        entry_side(intent),
        intent.size,
        intent.limit,
        intent.entry_cloid,
        tif="Ioc",
    )
    return [entry, *exit_orders(intent, instrument, intent.size, intent.size, attempt=0)]


def exit_orders(
    intent: Intent, instrument: Instrument, stop: Decimal, target: Decimal, *, attempt: int
) -> list[OrderRequest]:
    """A stop for the size `stop`, then a target for the size `target`; a leg of size 0 is left out.
    Attempt 0 is the bracket of the entry itself; each repair has ids of its own."""
    decision = decision_of(intent)
    legs: list[OrderRequest] = []
    if stop:
        cloid = client_order_id(decision, Role.STOP, attempt)
        legs.append(_exit(intent, instrument, stop, Trigger(intent.stop, "sl"), cloid))
    if target and intent.target is not None:
        cloid = client_order_id(decision, Role.TARGET, attempt)
        legs.append(_exit(intent, instrument, target, Trigger(intent.target, "tp"), cloid))
    return legs


def _exit(
    intent: Intent, instrument: Instrument, size: Decimal, trigger: Trigger, cloid: str
) -> OrderRequest:
    return OrderRequest(
        instrument,
        entry_side(intent).opposite,
        size,
        exit_price(trigger.price, intent.side, instrument),
        cloid,
        reduce_only=True,
        trigger=trigger,
    )


def exit_price(trigger: Decimal, side: int, instrument: Instrument) -> Decimal:
    """The worst price at which an exit from a position on `side` may fill once price has reached
    its `trigger`. The venue counts the exit's notional by it (hyperliquid.md 7.2)."""
    return instrument.round_price(trigger * (1 - side * TRIGGER_SLIPPAGE))


def flatten_order(
    intent: Intent, instrument: Instrument, position: Decimal, mid: Decimal, attempt: int
) -> OrderRequest:
    """A reduce-only order that closes `position` at once."""
    cloid = client_order_id(decision_of(intent), Role.FLATTEN, attempt)
    return closing_order(instrument, position, mid, cloid)


def closing_order(
    instrument: Instrument, position: Decimal, mid: Decimal, cloid: str
) -> OrderRequest:
    """A reduce-only order under the id `cloid` that closes `position`, signed, at once."""
    long = position > 0
    return OrderRequest(
        instrument,
        Side.SELL if long else Side.BUY,
        abs(position),
        exit_price(mid, 1 if long else -1, instrument),
        cloid,
        tif="Ioc",
        reduce_only=True,
    )
