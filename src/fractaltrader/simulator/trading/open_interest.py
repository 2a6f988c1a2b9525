"""Open interest and its caps (hyperliquid.md 7.2 and rows 10 to 12 of section 10).

The caps are settings of a market's state, none by default. The texts are the documented ones;
row 40 lists newer spellings of the same rules that only the node's strings carry.
"""

from decimal import Decimal
from typing import NamedTuple

from fractaltrader.exchange.port import BUY
from fractaltrader.simulator.clearing.accounts import position_size, reducible
from fractaltrader.simulator.core import Core
from fractaltrader.simulator.numbers import ZERO
from fractaltrader.simulator.state import Order

CAPPED = "Order would increase open interest while open interest is capped"
AGGRESSIVE = "Order rejected due to price more aggressive than oracle while at open interest cap"
TOO_QUICK = "Order would increase open interest too quickly"
# "Try again in a few seconds": growth is measured over windows of this length.
WINDOW_MS = 5_000


class Refusal(NamedTuple):
    """Why the cap refuses an order: the text and the status."""

    text: str
    status: str


def open_interest(core: Core, coin: str) -> Decimal:
    """Base units held long by users and the modelled market together; as many are short."""
    sizes = (holder.positions[coin].size for holder in core.holders[coin].values())
    return sum((size for size in sizes if size > 0), ZERO)


def is_at_cap(core: Core, coin: str) -> bool:
    """Whether open interest, in USDC at the mark, has reached the market's cap."""
    cap = core.state.markets[coin].interest_cap
    return cap is not None and open_interest(core, coin) * core.mark(coin) >= cap


def refusal_of(core: Core, order: Order, *, takes: bool) -> Refusal | None:
    """Why the market's cap refuses `order`; `takes` says whether it would execute at once."""
    market = core.state.markets[order.coin]
    if order.reduce_only or (market.interest_cap is None and market.interest_growth is None):
        return None
    account = core.account(order.user)
    reduces = reducible(account, order.coin, order.side)
    opening = order.size - reduces
    if opening <= 0:
        return None
    if is_at_cap(core, order.coin):
        if takes and position_size(account, order.coin) and reduces:
            return Refusal(CAPPED, "positionFlipAtOpenInterestCapRejected")
        if takes:
            return Refusal(CAPPED, "positionIncreaseAtOpenInterestCapRejected")
        oracle = core.oracle(order.coin)
        if order.price > oracle if order.side is BUY else order.price < oracle:
            return Refusal(AGGRESSIVE, "tooAggressiveAtOpenInterestCapRejected")
    if takes and _grows_too_quickly(core, order, opening):
        return Refusal(TOO_QUICK, "openInterestIncreaseRejected")
    return None


def _grows_too_quickly(core: Core, order: Order, opening: Decimal) -> bool:
    market = core.state.markets[order.coin]
    if market.interest_growth is None:
        return False
    window = core.now_ms() // WINDOW_MS
    current = open_interest(core, order.coin)
    if market.interest_window[0] != window:
        market.interest_window = (window, current)
    grown = current + opening - market.interest_window[1]
    return grown * core.mark(order.coin) > market.interest_growth


def blocks_maker(core: Core, maker: Order, size: Decimal) -> bool:
    """Whether a resting order that opens is met while the market is at its cap."""
    if core.state.markets[maker.coin].interest_cap is None or maker.reduce_only:
        return False
    opening = size - reducible(core.account(maker.user), maker.coin, maker.side)
    return opening > 0 and is_at_cap(core, maker.coin)
