"""What the venue refuses and in which words (hyperliquid.md 7.1, 7.2 and section 10)."""

from decimal import Decimal

import msgspec

from fractaltrader.exchange.port import BUY, SELL
from fractaltrader.market.instrument import MIN_NOTIONAL, Instrument
from fractaltrader.simulator.clearing import accounts, margin
from fractaltrader.simulator.core import Core
from fractaltrader.simulator.numbers import ZERO, venue_number
from fractaltrader.simulator.protocol.forms.orders import OrderWire
from fractaltrader.simulator.state import Account, Order
from fractaltrader.simulator.trading import open_interest
from fractaltrader.simulator.trading.book import is_fired
from fractaltrader.simulator.trading.matching import would_take

HIGHEST, LOWEST = Decimal("1.95"), Decimal("0.05")
BAND_TEXT = "Order price cannot be more than 95% away from the reference price"
TIER_TEXT = "Order would cause position to exceed margin tier limit at current leverage"
IMMEDIATE = ("Ioc", "FrontendMarket")
OPEN_ORDERS_FREE = 1_000
OPEN_ORDERS_MOST = 5_000
VOLUME_PER_OPEN_ORDER = 5_000_000
# The most a market order may be worth, USDC, from each highest leverage on (hyperliquid.md 7.2).
MARKET_ORDER_MOST = ((25, 30_000_000), (20, 5_000_000), (10, 2_000_000), (0, 500_000))
LIMIT_ORDER_FACTOR = 10


class BatchRefusedError(Exception):
    """Refused before any order got an oid: one error stands for the whole batch."""


class Rejection(msgspec.Struct, frozen=True, gc=False):
    """The text in the answer and the status in the order's history."""

    text: str
    status: str


def check_wire(
    core: Core, order: OrderWire, instrument: Instrument, price: Decimal, size: Decimal
) -> str | None:
    """Faults that cost no oid: the text, or None. Raises BatchRefusedError for the price band."""
    if not size and not order.r:
        return "Order has zero size."
    if size and not instrument.is_legal_size(size):
        return "Order has invalid size."
    if price <= ZERO:
        return "Order has invalid price."
    market = core.state.markets[instrument.coin]
    if market.mid is None or market.is_delisted:
        return "Trading is halted."
    limit, trigger = order.t.limit, order.t.trigger
    is_market_trigger = trigger is not None and trigger.is_market
    if not is_market_trigger and is_outside(price, core.mark(instrument.coin)):
        raise BatchRefusedError(BAND_TEXT)
    is_market = is_market_trigger or (limit is not None and limit.tif in IMMEDIATE)
    most = largest_value(instrument, is_market=is_market)
    if price * size > most:
        return f"Order value too large. Max is ${most}."
    return None


def is_outside(price: Decimal, reference: Decimal) -> bool:
    """Whether `price` is more than 95 % away from `reference`."""
    return price > reference * HIGHEST or price < reference * LOWEST


def largest_value(instrument: Instrument, *, is_market: bool) -> int:
    """The most an order may be worth, USDC."""
    factor = 1 if is_market else LIMIT_ORDER_FACTOR
    for least, most in MARKET_ORDER_MOST:
        if instrument.max_leverage >= least:
            return most * factor
    raise ValueError(f"{instrument.coin}: leverage {instrument.max_leverage} is below zero")


def open_order_limit(account: Account) -> int:
    """How many orders the account may have open (hyperliquid.md 6.2)."""
    earned = int(account.volume // VOLUME_PER_OPEN_ORDER)
    return min(OPEN_ORDERS_FREE + earned, OPEN_ORDERS_MOST)


def check_order(core: Core, order: Order) -> Rejection | None:
    """The first rule that `order` breaks; shrinks a reduce-only order to the position."""
    instrument = core.instruments[order.coin]
    suffix = f" asset={instrument.asset}"
    if not is_on_tick(instrument, order):
        return Rejection(f"Price must be divisible by tick size.{suffix}", "tickRejected")
    account = core.account(order.user)
    if order.reduce_only:
        left = accounts.reducible(account, order.coin, order.side)
        if not left:
            text = f"Reduce only order would increase position.{suffix}"
            return Rejection(text, "reduceOnlyRejected")
        if order.size == 0 and not order.follows_position:
            order.size = order.original_size = left
        order.size = min(order.size, left)
    if _is_below_minimum(core, order):
        return Rejection(f"Order must have minimum value of $10.{suffix}", "minTradeNtlRejected")
    if has_too_many_open(account, order):
        return Rejection("Too many open orders.", "tooManyOpenOrdersRejected")
    if order.trigger is not None:
        if not is_sane_trigger(order) or is_fired(order, core.mark(order.coin)):
            return Rejection(f"Invalid TP/SL price.{suffix}", "badTriggerPxRejected")
        return None
    return check_execution(core, order, suffix)


def check_execution(core: Core, order: Order, suffix: str) -> Rejection | None:
    """Rules that hold when an order meets the book: at placement, or when its trigger fires."""
    coin, side, size = order.coin, order.side, order.size
    if not order.reduce_only:
        account = core.account(order.user)
        if not margin.has_room(core, account, coin, side, size, _value_price(core, order)):
            return Rejection(f"Insufficient margin to place order.{suffix}", "perpMarginRejected")
        if margin.exceeds_tier(core, account, coin, side, size):
            return Rejection(TIER_TEXT, "perpMaxPositionRejected")
    # The limit price of a market trigger is for show: it executes within its tolerance.
    is_market_trigger = order.trigger is not None and order.trigger.is_market
    if not is_market_trigger and is_outside(order.price, core.oracle(coin)):
        return Rejection(f"Price too far from oracle{suffix}", "oracleRejected")
    takes = would_take(core, order) is not None
    capped = open_interest.refusal_of(core, order, takes=takes)
    if capped is not None:
        return Rejection(capped.text, capped.status)
    return _check_tif(core, order, suffix, takes=takes)


def _check_tif(core: Core, order: Order, suffix: str, *, takes: bool) -> Rejection | None:
    if order.tif == "Alo" and takes:
        book = core.books[order.coin]
        bbo = "@".join(
            venue_number(quote.price).removesuffix(".0") if quote else ""
            for quote in (book.best(BUY), book.best(SELL))
        )
        text = f"Post only order would have immediately matched, bbo was {bbo}.{suffix}"
        return Rejection(text, "badAloPxRejected")
    if order.tif in IMMEDIATE and not takes:
        if (
            order.tif == "FrontendMarket"
            and core.books[order.coin].best(order.side.opposite) is None
        ):
            text = "No liquidity available for market order."
            return Rejection(text, "marketOrderNoLiquidityRejected")
        return Rejection(unmatched_text(suffix), "iocCancelRejected")
    return None


def _value_price(core: Core, order: Order) -> Decimal:
    """What margin values an order at: the mark when it must execute at once, its limit when it may
    rest (hyperliquid.md 7.5)."""
    if order.tif is None or order.tif in IMMEDIATE:
        return core.mark(order.coin)
    return order.price


def unmatched_text(suffix: str) -> str:
    """What an order that had to execute at once and did not is told."""
    return f"Order could not immediately match against any resting orders.{suffix}"


def has_too_many_open(account: Account, order: Order) -> bool:
    """From 1000 open orders on no trigger or reduce-only order may join them, at the limit none."""
    count = len(account.live)
    if count < OPEN_ORDERS_FREE or order.tif in IMMEDIATE:
        return False
    is_exit = order.reduce_only or order.trigger is not None
    return is_exit or count >= open_order_limit(account)


def is_on_tick(instrument: Instrument, order: Order) -> bool:
    """Whether limit and trigger price are legal."""
    if not instrument.is_legal_price(order.price):
        return False
    return order.trigger is None or instrument.is_legal_price(order.trigger.price)


def _is_below_minimum(core: Core, order: Order) -> bool:
    """Closing a whole position is exempt from the minimum."""
    if order.size * order.price >= MIN_NOTIONAL:
        return False
    if order.reduce_only:
        left = accounts.reducible(core.account(order.user), order.coin, order.side)
        return not (order.follows_position or order.size >= left)
    return True


def is_sane_trigger(order: Order) -> bool:
    """A stop-limit's limit must lie at the trigger price or beyond it, seen from the side."""
    if order.terms.is_market or order.terms.kind == "tp":
        return True
    if order.side is SELL:
        return order.price <= order.terms.price
    return order.price >= order.terms.price
