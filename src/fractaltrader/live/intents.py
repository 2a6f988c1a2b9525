"""From a decision to the three orders of an entry, with ids derived from the decision itself."""

import hashlib
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from fractaltrader.exchange.port import OrderRequest, Side, Trigger
from fractaltrader.live.state import Intent
from fractaltrader.market import Instrument
from fractaltrader.strategies.base import Signal

# A block takes about a second; an entry that has not executed by then must not execute later.
ENTRY_LIFETIME_MS = 10_000
# How far beyond its trigger a stop or target may fill; the venue itself tolerates 10 %.
TRIGGER_SLIPPAGE = Decimal("0.08")


def client_order_id(account: str, coin: str, strategy: str, bar_time: int, role: str) -> str:
    """The id of an order that this decision would place, the same after every restart."""
    text = f"{account}|{coin}|{strategy}|{bar_time}|{role}"
    return "0x" + hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


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
    """The intention to enter `signal` at `price`, paying at most `slippage` (a fraction)."""
    away = ROUND_FLOOR if signal.side > 0 else ROUND_CEILING  # a stop is never rounded inwards

    def order_id(role: str) -> str:
        return client_order_id(account, signal.coin, signal.strategy, signal.bar_time, role)

    return Intent(
        coin=signal.coin,
        strategy=signal.strategy,
        bar_time=signal.bar_time,
        side=signal.side,
        size=size,
        limit=instrument.round_price(price * (1 + signal.side * slippage)),
        stop=instrument.round_price(signal.stop, away),
        target=instrument.round_price(signal.target),
        entry_cloid=order_id("entry"),
        stop_cloid=order_id("stop"),
        target_cloid=order_id("target"),
        created_ms=now_ms,
        expires_ms=now_ms + ENTRY_LIFETIME_MS,
    )


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
    return [entry, *exit_orders(intent, instrument, intent.size, attempt=0)]


def exit_orders(
    intent: Intent, instrument: Instrument, size: Decimal, *, attempt: int
) -> list[OrderRequest]:
    """Stop and target for `size`; each repair attempt has ids of its own."""
    stop_cloid, target_cloid = exit_cloids(intent, attempt)
    return [
        _exit(intent, instrument, size, intent.stop, "sl", stop_cloid),
        _exit(intent, instrument, size, intent.target, "tp", target_cloid),
    ]


def exit_cloids(intent: Intent, attempt: int) -> tuple[str, str]:
    """Client order ids of stop and target; attempt 0 is the bracket of the entry itself."""
    if attempt == 0:
        return intent.stop_cloid, intent.target_cloid
    return (
        client_order_id(intent.entry_cloid, intent.coin, "stop", attempt, "repair"),
        client_order_id(intent.entry_cloid, intent.coin, "target", attempt, "repair"),
    )


def _exit(
    intent: Intent, instrument: Instrument, size: Decimal, price: Decimal, kind: str, cloid: str
) -> OrderRequest:
    worst = instrument.round_price(price * (1 - intent.side * TRIGGER_SLIPPAGE))
    return OrderRequest(
        instrument,
        entry_side(intent).opposite,
        size,
        worst,
        cloid,
        reduce_only=True,
        trigger=Trigger(price, "sl" if kind == "sl" else "tp"),
    )


def flatten_order(
    intent: Intent, instrument: Instrument, position: Decimal, mid: Decimal, attempt: int
) -> OrderRequest:
    """A reduce-only order that closes `position` at once."""
    side = Side.SELL if position > 0 else Side.BUY
    slippage = -TRIGGER_SLIPPAGE if position > 0 else TRIGGER_SLIPPAGE
    return OrderRequest(
        instrument,
        side,
        abs(position),
        instrument.round_price(mid * (1 + slippage)),
        client_order_id(intent.entry_cloid, intent.coin, "flatten", attempt, "repair"),
        tif="Ioc",
        reduce_only=True,
    )
