"""What the venue refuses and in which words (hyperliquid.md 7.1, 7.2 and section 10)."""

from dataclasses import dataclass
from decimal import Decimal

from fractaltrader.exchange.port import Side
from fractaltrader.market.instrument import MIN_NOTIONAL, Instrument
from fractaltrader.simulator.clearing import accounts, margin
from fractaltrader.simulator.core import Core
from fractaltrader.simulator.numbers import venue_number
from fractaltrader.simulator.protocol.forms import decimal_of
from fractaltrader.simulator.protocol.order_forms import OrderWire
from fractaltrader.simulator.state import Order
from fractaltrader.simulator.trading.book import is_fired
from fractaltrader.simulator.trading.matching import would_take

BAND = Decimal("0.95")
BAND_TEXT = "Order price cannot be more than 95% away from the reference price"


class BatchRefusedError(Exception):
    """Refused before any order got an oid: one error stands for the whole batch."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """The text in the answer and the status in the order's history."""

    text: str
    status: str


def check_wire(core: Core, order: OrderWire, instrument: Instrument) -> str | None:
    """Faults that cost no oid: the text, or None. Raises BatchRefusedError for the price band."""
    size, price = decimal_of(order.s), decimal_of(order.p)
    if size == 0 and not order.r:
        return "Order has zero size."
    if size < 0 or (size and not instrument.is_legal_size(size)):
        return "Order has invalid size."
    if price <= 0:
        return "Order has invalid price."
    mid = core.books[instrument.coin].mid
    if mid is None:
        return "Trading is halted."
    is_market_trigger = order.t.trigger is not None and order.t.trigger.is_market
    if not is_market_trigger and (price > mid * (1 + BAND) or price < mid * (1 - BAND)):
        raise BatchRefusedError(BAND_TEXT)
    return None


def check_order(core: Core, order: Order) -> Rejection | None:
    """The first rule that `order` breaks, in the venue's order; shrinks a reduce-only order."""
    instrument = core.instruments[order.coin]
    suffix = f" asset={instrument.asset}"
    if not is_on_tick(instrument, order):
        return Rejection(f"Price must be divisible by tick size.{suffix}", "tickRejected")
    if order.reduce_only:
        left = accounts.reducible(core.account(order.user), order.coin, order.side)
        if left == 0:
            text = f"Reduce only order would increase position.{suffix}"
            return Rejection(text, "reduceOnlyRejected")
        if order.size == 0 and not order.follows_position:
            order.size = order.original_size = left
        order.size = min(order.size, left)
    if _is_below_minimum(core, order):
        return Rejection(f"Order must have minimum value of $10.{suffix}", "minTradeNtlRejected")
    if order.trigger is not None:
        if not is_sane_trigger(order) or is_fired(order, core.mark(order.coin)):
            return Rejection(f"Invalid TP/SL price.{suffix}", "badTriggerPxRejected")
        return None
    if not order.reduce_only and not has_margin(core, order):
        return Rejection(f"Insufficient margin to place order.{suffix}", "perpMarginRejected")
    return _check_tif(core, order, suffix)


def _check_tif(core: Core, order: Order, suffix: str) -> Rejection | None:
    met = would_take(core, order)
    if order.tif == "Alo" and met is not None:
        book = core.books[order.coin]
        bbo = "@".join(
            venue_number(quote.price).removesuffix(".0") if quote else ""
            for quote in (book.best(Side.BUY), book.best(Side.SELL))
        )
        text = f"Post only order would have immediately matched, bbo was {bbo}.{suffix}"
        return Rejection(text, "badAloPxRejected")
    if order.tif in ("Ioc", "FrontendMarket") and met is None:
        text = f"Order could not immediately match against any resting orders.{suffix}"
        return Rejection(text, "iocCancelRejected")
    return None


def is_on_tick(instrument: Instrument, order: Order) -> bool:
    """Whether limit and trigger price are legal."""
    if not instrument.is_legal_price(order.price):
        return False
    return order.trigger is None or instrument.is_legal_price(order.trigger.price)


def _is_below_minimum(core: Core, order: Order) -> bool:
    """Closing a whole position is exempt from the minimum."""
    if order.reduce_only:
        left = accounts.reducible(core.account(order.user), order.coin, order.side)
        if order.follows_position or order.size >= left:
            return False
    return order.size * order.price < MIN_NOTIONAL


def is_sane_trigger(order: Order) -> bool:
    """A stop-limit's limit must lie at the trigger price or beyond it, seen from the side."""
    if order.terms.is_market or order.terms.kind == "tp":
        return True
    if order.side is Side.SELL:
        return order.price <= order.terms.price
    return order.price >= order.terms.price


def has_margin(core: Core, order: Order) -> bool:
    """Whether the account covers initial margin with this order, other resting orders included.

    An order that must execute at once is valued at the mark, one that may rest at its limit.
    """
    account = core.account(order.user)
    live = core.live_orders(order.user)
    mark = core.mark(order.coin)
    price = mark if order.tif in ("Ioc", "FrontendMarket") else order.price
    new = margin.Claim(order.side, order.size, price)

    def required(coin: str, extra: list[margin.Claim]) -> Decimal:
        return margin.coin_requirement(
            accounts.position_size(account, coin),
            core.mark(coin),
            margin.leverage_of(account, core.instruments[coin]),
            margin.claims_of(live, coin) + extra,
        )

    before = required(order.coin, [])
    after = required(order.coin, [new])
    if after <= before:
        return True
    coins = {*account.positions, *(other.coin for other in live)} - {order.coin}
    total = sum((required(coin, []) for coin in coins), after)
    return total <= margin.account_value(account, core.mark)
