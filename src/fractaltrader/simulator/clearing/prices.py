"""Oracle, mark and premium (hyperliquid.md 7.7).

The feed's price is what other venues' perps trade at and, unless an offset says otherwise, the
oracle; the modelled market quotes around it. So mark = median(oracle + EMA150s(mid - oracle),
median(bid, ask, last trade), perp price) is the feed's price while users do not move the mid away
from it. Between two events nothing changes, so averages over time are integrals over the value that
stood: right at any step of the feed, and free while nothing disturbs the book. Modelled depth that
a taker used up counts as refilled: it comes back with the next tick.
"""

from decimal import Decimal
from math import exp
from statistics import median

from fractaltrader.exchange.port import BUY, SELL, Side
from fractaltrader.simulator.core import Core
from fractaltrader.simulator.numbers import ZERO
from fractaltrader.simulator.state import Market, Prices
from fractaltrader.simulator.trading.book import CoinBook

BASIS_WINDOW_MS = 150_000
BOOK_WINDOW_MS = 30_000
# What an impact price must fill, USDC.
IMPACT_NOTIONAL = Decimal(6_000)
LARGE_IMPACT_NOTIONAL = Decimal(20_000)
LARGE_COINS = ("BTC", "ETH")
PREMIUM_STEP = Decimal("0.0000000001")


def impact_prices(core: Core, coin: str) -> tuple[Decimal, Decimal] | None:
    """Average prices at which the impact notional sells and buys; None for a thinner book."""
    wanted = LARGE_IMPACT_NOTIONAL if coin in LARGE_COINS else IMPACT_NOTIONAL
    sides = [_impact(core.books[coin], side, wanted) for side in (BUY, SELL)]
    bid, ask = sides
    return None if bid is None or ask is None else (bid, ask)


def _impact(book: CoinBook, side: Side, wanted: Decimal) -> Decimal | None:
    """Average price of `wanted` USDC of the levels of `side`, on the coin's price decimals."""
    left, size = wanted, ZERO
    for level in book.levels(side):
        notional = level.price * level.size
        if notional >= left:
            size += left / level.price
            decimals = 6 - book.instrument.sz_decimals
            return (wanted / size).quantize(Decimal(1).scaleb(-decimals))
        left -= notional
        size += level.size
    return None


def premium(core: Core, coin: str) -> Decimal | None:
    """(max(impactBid - oracle, 0) - max(oracle - impactAsk, 0)) / oracle; None without a book."""
    market = core.state.markets[coin]
    if market.mid is None:
        return None
    if not _is_disturbed(core, coin):
        # The modelled quotes enclose the feed's price, which is the oracle.
        return ZERO
    impact = impact_prices(core, coin)
    if impact is None:
        return None
    oracle = core.oracle(coin)
    rich = max(impact[0] - oracle, ZERO) - max(oracle - impact[1], ZERO)
    return (rich / oracle).quantize(PREMIUM_STEP)


def _is_disturbed(core: Core, coin: str) -> bool:
    """Whether quotes may lie beyond the oracle: it was moved, or users quote inside the spread."""
    return bool(core.state.markets[coin].prices.oracle_offset or mid_shift(core, coin))


def _is_beyond_oracle(core: Core, coin: str) -> bool:
    """Whether a best quote is past the oracle: without one no impact price is, nor a premium."""
    book, oracle = core.books[coin], core.oracle(coin)
    bid, ask = book.best(BUY), book.best(SELL)
    return bool((bid and bid.price > oracle) or (ask and ask.price < oracle))


def mid_shift(core: Core, coin: str) -> Decimal:
    """How far users' resting orders move the mid from the feed's price, USDC.

    They do when they are better than the modelled market's best quote.
    """
    book = core.books[coin]
    mid, shift, reach = book.mid, ZERO, ZERO
    for side in (BUY, SELL):
        mine = book.best_resting(side)
        if mine is None or mid is None:
            continue
        # Most orders rest further away than the modelled quotes can be.
        reach = reach or mid * core.model.spread_bps / 20_000 + 2 * book.instrument.tick(mid)
        modelled = book.modelled_best(side) if abs(mid - mine) < reach else None
        if modelled is not None and (mine > modelled if side is BUY else mine < modelled):
            shift += (mine - modelled) / 2
    return shift


def _book_median(core: Core, coin: str, market: Market, mid: Decimal) -> Decimal:
    """median(best bid, best ask, last trade), of those that there are."""
    book = core.books[coin]
    quotes = [quote.price for side in (BUY, SELL) if (quote := book.best(side)) is not None]
    if market.trades:
        quotes.append(market.trades[-1].price)
    return median(quotes) if quotes else mid


def observe(core: Core) -> list[str]:
    """Account for what stood since the last time; call before anything changes at a new time.

    Returns the coins whose mark has moved.
    """
    now, moved = core.now_ms(), []
    for coin, market in core.state.markets.items():
        if market.prices.observed_ms != now:
            before = market.prices.mark_shift
            _observe(core, coin, market, now)
            if market.prices.mark_shift != before:
                moved.append(coin)
    return moved


def _observe(core: Core, coin: str, market: Market, now: int) -> None:
    prices = market.prices
    first = prices.observed_ms == 0
    elapsed = now - prices.observed_ms
    prices.observed_ms = now
    if market.mid is None or first:
        return
    prices.sampled_ms += elapsed
    shift = mid_shift(core, coin)
    if _is_quiet(prices) and not shift and not prices.oracle_offset:
        prices.mark_shift = ZERO
        return
    basis = float(shift - prices.oracle_offset)
    step = float(_step(market))
    prices.basis_ema = _decayed(prices.basis_ema, basis, elapsed, BASIS_WINDOW_MS, step)
    if prices.perp_offset is None:
        stood = float(_book_median(core, coin, market, market.mid) - market.mid)
        prices.book_ema = _decayed(prices.book_ema, stood, elapsed, BOOK_WINDOW_MS, step)
    if _is_beyond_oracle(core, coin):
        prices.premium_ms += float(premium(core, coin) or ZERO) * elapsed
    refresh(core, coin)


def _step(market: Market) -> Decimal:
    """The smallest price decimal of a coin."""
    return Decimal(1).scaleb(market.sz_decimals - 6)


def _decayed(average: float, value: float, elapsed_ms: int, window_ms: int, step: float) -> float:
    """The exponential average after `value` stood for `elapsed_ms`; it ends below half a step."""
    after = value + (average - value) * exp(-elapsed_ms / window_ms)
    return 0.0 if value == 0.0 and abs(after) < step / 2 else after


def refresh(core: Core, coin: str) -> None:
    """Set the mark from what is known now."""
    market = core.state.markets[coin]
    prices, mid = market.prices, market.mid
    if mid is None:
        return
    # Price decimals: so that an average that has almost died away leaves the mark alone.
    step = _step(market)
    drift = Decimal(prices.basis_ema).quantize(step)
    by_book = _book_median(core, coin, market, mid)
    inputs = [mid + prices.oracle_offset + drift, by_book]
    if prices.perp_offset is None:
        # Exactly two inputs exist: the 30 s average of the second joins them.
        inputs.append(mid + Decimal(prices.book_ema).quantize(step))
    else:
        inputs.append(mid + prices.perp_offset)
    prices.mark_shift = median(inputs) - mid


def after_move(core: Core, coin: str) -> bool:
    """The feed's price moved: set the mark anew unless nothing keeps it from that price.

    Returns whether the mark's distance from it has changed.
    """
    prices = core.state.markets[coin].prices
    if _is_quiet(prices) and not prices.oracle_offset:
        return False
    before = prices.mark_shift
    refresh(core, coin)
    return prices.mark_shift != before


def _is_quiet(prices: Prices) -> bool:
    return not prices.basis_ema and prices.perp_offset == ZERO


def set_offsets(
    core: Core, coin: str, *, oracle: Decimal = ZERO, perp: Decimal | None = ZERO
) -> None:
    """Put oracle and other venues' perp price `oracle` and `perp` USDC from the feed's price.

    `perp` None takes that input away. For scenarios; raises KeyError for a coin not listed.
    """
    prices = core.state.markets[coin].prices
    observe(core)
    market = core.state.markets[coin]
    if perp is None and prices.perp_offset is not None and market.mid is not None:
        # The average of the book begins with what it is when it is first needed.
        prices.book_ema = float(_book_median(core, coin, market, market.mid) - market.mid)
    prices.oracle_offset, prices.perp_offset = oracle, perp
    refresh(core, coin)
