"""TWAP orders: a size bought or sold in slices over minutes (hyperliquid.md 3.2, rows 78 to 80).

Slices are immediate-or-cancel orders within 3 % of the mark, at least 30 seconds apart and worth at
least the minimum of an order where the whole allows it. A slice that falls behind is caught up by
later ones of at most three times the normal size. Their number and the random sizes are this
model's: the venue publishes the bounds only.
"""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

import msgspec

from fractaltrader.exchange.port import BUY, SELL
from fractaltrader.market.instrument import MIN_NOTIONAL
from fractaltrader.simulator.clearing import accounts
from fractaltrader.simulator.core import Core, Handler
from fractaltrader.simulator.protocol.forms.common import decimal_of
from fractaltrader.simulator.protocol.forms.timed import TwapCancelAction, TwapOrderAction
from fractaltrader.simulator.state import Order, Twap, TwapTerms
from fractaltrader.simulator.trading.lifecycle import register
from fractaltrader.simulator.trading.market_model import mixed
from fractaltrader.simulator.trading.order_rules import largest_value
from fractaltrader.simulator.trading.placing import submit
from fractaltrader.simulator.trading.triggers import settle_consequences

SLICE_MS = 30_000
SLIPPAGE = Decimal("0.03")
CATCH_UP = 3
LEAST_NOTIONAL = 100
# How many may run at once is not published.
MOST_ACTIVE = 50
HISTORY_KEPT = 2_000
GONE = "TWAP was never placed, already canceled, or filled."


def place(core: Core, user: str, action: TwapOrderAction) -> dict[str, Any]:
    """Start a TWAP, or let it wait for its trigger price."""
    terms = _terms_of(core, action)
    fault = _fault_of(core, user, terms)
    if fault is not None:
        return _answer("twapOrder", {"error": fault})
    now, state = core.now_ms(), core.state
    state.next_twap += 1
    twap = Twap(
        twap_id=state.next_twap, user=user, terms=terms, placed_ms=now, status="", status_ms=now
    )
    state.twaps[twap.twap_id] = twap
    if terms.trigger_price is None or _is_reached(core, terms, terms.trigger_price, terms.above):
        _start(core, twap)
    else:
        _note(core, twap, "waitingForTrigger")
    return _answer("twapOrder", {"running": {"twapId": twap.twap_id}})


def cancel(core: Core, user: str, action: TwapCancelAction) -> dict[str, Any]:
    """End a running TWAP."""
    twap = core.state.twaps.get(action.t)
    if twap is None or twap.user != user or core.instruments[twap.terms.coin].asset != action.a:
        return _answer("twapCancel", {"error": GONE})
    _end(core, twap, "terminated")
    return _answer("twapCancel", "success")


def _answer(kind: str, status: dict[str, Any] | str) -> dict[str, Any]:
    return {"type": kind, "data": {"status": status}}


def _terms_of(core: Core, action: TwapOrderAction) -> TwapTerms:
    wire, details = action.twap, action.details
    start = details.t if details else None
    return TwapTerms(
        core.by_asset[wire.a].coin,
        BUY if wire.b else SELL,
        decimal_of(wire.s),
        wire.m,
        wire.r,
        wire.t,
        trigger_price=decimal_of(start.p) if start else None,
        above=start.a if start else False,
        stop_price=decimal_of(details.s) if details and details.s is not None else None,
    )


def _fault_of(core: Core, user: str, terms: TwapTerms) -> str | None:
    instrument = core.instruments[terms.coin]
    market = core.state.markets[terms.coin]
    if market.mid is None or market.is_delisted:
        return "Trading is halted."
    if terms.size == 0:
        return "Order has zero size."
    if not instrument.is_legal_size(terms.size):
        return "Order has invalid size."
    value = terms.size * core.mark(terms.coin)
    if value < LEAST_NOTIONAL:
        return f"TWAP order value too small. Min is ${LEAST_NOTIONAL}."
    most = largest_value(instrument, is_market=False)
    if value > most:
        return f"TWAP order value too large. Max is ${most}."
    if terms.reduce_only and not accounts.reducible(core.account(user), terms.coin, terms.side):
        return "Reduce-only TWAP order would increase position."
    if sum(twap.user == user for twap in core.state.twaps.values()) >= MOST_ACTIVE:
        return "Exceeded max number of active TWAP orders."
    return None


def _is_reached(core: Core, terms: TwapTerms, price: Decimal, above: bool) -> bool:
    mark = core.mark(terms.coin)
    return mark >= price if above else mark <= price


def watch(core: Core, coin: str) -> None:
    """The mark of `coin` moved: start what waited for it and stop what must stop."""
    for twap in list(core.state.twaps.values()):
        if twap.terms.coin == coin:
            _look_at_price(core, twap)


def _look_at_price(core: Core, twap: Twap) -> None:
    terms = twap.terms
    if twap.started_ms is None:
        start = terms.trigger_price
        if start is not None and _is_reached(core, terms, start, terms.above):
            _start(core, twap)
    elif terms.stop_price is not None:
        # It stops where the price has gone against what it builds.
        against = terms.side is SELL
        if _is_reached(core, terms, terms.stop_price, against):
            _end(core, twap, "stopped")


def _start(core: Core, twap: Twap) -> None:
    terms = twap.terms
    affordable = int(terms.size * core.mark(terms.coin) / (MIN_NOTIONAL * 6 / 5))
    twap.slices = max(1, min(terms.minutes * 60_000 // SLICE_MS, affordable))
    twap.started_ms = twap.next_ms = core.now_ms()
    _note(core, twap, "activated")
    _slice(core, twap)


def _slice(core: Core, twap: Twap) -> None:
    """Execute the slice that is due and set the time of the next, or end."""
    terms = twap.terms
    size = _slice_size(core, twap)
    if size > 0:
        order = _slice_order(core, twap, size)
        register(core, order)
        submit(core, order)
        settle_consequences(core)
        twap.executed += order.filled
        twap.executed_notional += order.filled_notional
        if order.status == "reduceOnlyRejected":
            _end(core, twap, "terminated")
            return
        if order.status == "perpMarginRejected":
            _end(core, twap, "error", "Insufficient margin to place order.")
            return
    twap.sliced += 1
    if twap.executed >= terms.size or twap.sliced > twap.slices:
        _end(core, twap, "finished")
        return
    twap.next_ms = (twap.started_ms or 0) + terms.minutes * 60_000 * twap.sliced // twap.slices


def _slice_size(core: Core, twap: Twap) -> Decimal:
    """What this slice is to execute; zero when that is too little for an order."""
    terms, number = twap.terms, twap.sliced + 1
    instrument = core.instruments[terms.coin]
    normal = terms.size / twap.slices
    goal = terms.size
    if number < twap.slices:
        goal = normal * number
        if terms.randomize:
            draw = mixed(core.state.seed, twap.twap_id, number) % 401 - 200
            goal += normal * draw / 1_000
    size = instrument.round_size(max(min(goal - twap.executed, CATCH_UP * normal), Decimal(0)))
    if terms.reduce_only:
        left = accounts.reducible(core.account(twap.user), terms.coin, terms.side)
        if size >= left:
            return size
    return size if size * core.mark(terms.coin) >= MIN_NOTIONAL else Decimal(0)


def _slice_order(core: Core, twap: Twap, size: Decimal) -> Order:
    terms, now = twap.terms, core.now_ms()
    is_buy = terms.side is BUY
    worst = core.mark(terms.coin) * (1 + SLIPPAGE if is_buy else 1 - SLIPPAGE)
    rounding = ROUND_FLOOR if is_buy else ROUND_CEILING
    return Order(
        oid=core.new_oid(),
        user=twap.user,
        coin=terms.coin,
        side=terms.side,
        price=core.instruments[terms.coin].round_price(worst, rounding),
        size=size,
        original_size=size,
        tif="Ioc",
        reduce_only=terms.reduce_only,
        trigger=None,
        cloid=None,
        placed_ms=now,
        status="open",
        status_ms=now,
        twap=twap.twap_id,
    )


def _end(core: Core, twap: Twap, status: str, description: str | None = None) -> None:
    core.state.twaps.pop(twap.twap_id, None)
    twap.next_ms = None
    twap.description = description
    _note(core, twap, status)


def _note(core: Core, twap: Twap, status: str) -> None:
    """Write the new status into the user's history and tell it."""
    twap.status, twap.status_ms = status, core.now_ms()
    entry = msgspec.structs.replace(twap)
    history = core.account(twap.user).twaps
    history.append(entry)
    del history[:-HISTORY_KEPT]
    core.outbox.twap_changes.setdefault(twap.user, []).append(entry)


def next_due(core: Core) -> int | None:
    """When the next slice of anybody is due, UTC epoch ms."""
    if not core.state.twaps:
        return None
    times = [twap.next_ms for twap in core.state.twaps.values() if twap.next_ms is not None]
    return min(times, default=None)


def run(core: Core) -> None:
    """Execute the slices that are due."""
    now = core.now_ms()
    for twap in list(core.state.twaps.values()):
        if twap.next_ms is not None and twap.next_ms <= now:
            _slice(core, twap)


HANDLERS: dict[type, Handler] = {TwapOrderAction: place, TwapCancelAction: cancel}
