"""Markets as `/info` and the streams show them (hyperliquid.md 2.1)."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from fractaltrader.exchange.port import Side
from fractaltrader.simulator.candles import day_ago_price
from fractaltrader.simulator.clearing import funding, prices, tiers
from fractaltrader.simulator.core import Core
from fractaltrader.simulator.numbers import ZERO, float_number, venue_number
from fractaltrader.simulator.protocol.views.clearing import margin_table
from fractaltrader.simulator.protocol.views.orders import trade_view
from fractaltrader.simulator.trading.book import CoinBook, Level
from fractaltrader.simulator.trading.open_interest import is_at_cap, open_interest

DAY_MS = 86_400_000

# USDC has another token id on each network (hyperliquid.md 8).
_USDC_ID = {
    True: "0x6d1e7cde53ba9467b783cb7c530ce054",
    False: "0xeb62eee3685fc4c43992febcd9e75443",
}


def spot_meta(core: Core) -> dict[str, Any]:
    """No pairs, and the one token that perpetuals are settled in."""
    return {
        "universe": [],
        "tokens": [
            {
                "name": "USDC",
                "szDecimals": 8,
                "weiDecimals": 8,
                "index": 0,
                "tokenId": _USDC_ID[core.state.mainnet],
                "isCanonical": True,
                "evmContract": None,
                "fullName": None,
                "deployerTradingFeeShare": "0.0",
            }
        ],
    }


def dex_status(core: Core, _request: object) -> dict[str, Any]:
    """What everybody has deposited, net."""
    total = sum((account.deposited for account in core.state.accounts.values()), ZERO)
    return {"totalNetDeposit": venue_number(total)}


def meta(core: Core) -> dict[str, Any]:
    """The universe in asset order; margin tables of a single tier below 50x go without saying."""
    coins = [core.by_asset[asset].coin for asset in sorted(core.by_asset)]
    known = tiers.VENUE_TABLES | core.state.margin_tables
    for coin in coins:
        market = core.state.markets[coin]
        if tiers.table_id(market) >= tiers.SINGLE_TIER_IDS:
            known.setdefault(
                tiers.table_id(market), tiers.table_of(core.state.margin_tables, market)
            )
    return {
        "universe": [_listed(core, coin) for coin in coins],
        "marginTables": [[number, margin_table(known[number])] for number in sorted(known)],
        "collateralToken": 0,
    }


def _listed(core: Core, coin: str) -> dict[str, Any]:
    """A coin of the universe; the optional keys appear only where they say something."""
    market, item = core.state.markets[coin], core.instruments[coin]
    view: dict[str, Any] = {
        "szDecimals": item.sz_decimals,
        "name": coin,
        "maxLeverage": item.max_leverage,
        "marginTableId": tiers.table_id(market),
    }
    if market.is_delisted:
        view["isDelisted"] = True
    if market.margin_mode is not None:
        view |= {"onlyIsolated": True, "marginMode": market.margin_mode}
    return view


def mid_price(core: Core, coin: str) -> Decimal | None:
    """Between the best quotes, users' orders included; None before the first price."""
    mid = core.books[coin].mid
    return None if mid is None else mid + prices.mid_shift(core, coin)


def all_mids(core: Core) -> dict[str, str]:
    """Mid price by coin; coins without a price are absent."""
    return {
        coin: venue_number(mid) for coin in core.books if (mid := mid_price(core, coin)) is not None
    }


def asset_context(core: Core, coin: str) -> dict[str, Any]:
    """Prices, volume and open interest of one coin."""
    series = core.candles[coin]
    now = core.now_ms()
    base_volume = series.volume_since(now - DAY_MS)
    mid = mid_price(core, coin)
    previous = day_ago_price(series, now) or mid or ZERO
    premium, impact = prices.premium(core, coin), prices.impact_prices(core, coin)
    is_delisted = core.state.markets[coin].is_delisted
    has_book = premium is not None and impact is not None and not is_delisted
    return {
        "funding": venue_number(funding.predicted_rate(core, coin)),
        "openInterest": venue_number(open_interest(core, coin)),
        "prevDayPx": venue_number(previous),
        "dayNtlVlm": float_number(base_volume * float(mid or previous)),
        "premium": venue_number(premium) if premium is not None and has_book else None,
        "oraclePx": venue_number(previous if mid is None else core.oracle(coin)),
        "markPx": venue_number(previous if mid is None else core.mark(coin)),
        "midPx": venue_number(mid) if mid is not None and has_book else None,
        "impactPxs": [venue_number(px) for px in impact] if impact and has_book else None,
        "dayBaseVlm": float_number(base_volume),
    }


def fast_context(core: Core, coin: str) -> dict[str, Any]:
    """What `fastAssetCtxs` shows of one coin."""
    context = asset_context(core, coin)
    return {"markPx": context["markPx"], "midPx": context["midPx"]}


def at_open_interest_cap(core: Core) -> list[str]:
    """Coins whose open interest has reached its cap."""
    return [coin for coin, book in core.books.items() if book.mid and is_at_cap(core, coin)]


def asset_contexts(core: Core) -> list[dict[str, Any]]:
    """Contexts in the order of the universe."""
    return [asset_context(core, core.by_asset[asset].coin) for asset in sorted(core.by_asset)]


def _aggregated(levels: list[Level], side: Side, figures: int, mantissa: int) -> list[Level]:
    """Levels merged to `figures` significant figures, away from the spread."""
    merged: dict[Decimal, Level] = {}
    for level in levels:
        step = Decimal(mantissa).scaleb(level.price.adjusted() - figures + 1)
        count = level.price / step
        rounding = ROUND_FLOOR if side is Side.BUY else ROUND_CEILING
        whole = count.to_integral_value(rounding=rounding)
        price = whole * step
        old = merged.get(price, Level(price, ZERO, 0))
        merged[price] = Level(price, old.size + level.size, old.count + level.count)
    return list(merged.values())


def _level(level: Level) -> dict[str, Any]:
    return {"px": venue_number(level.price), "sz": venue_number(level.size), "n": level.count}


def l2_book(
    core: Core, coin: str, figures: int | None = None, mantissa: int | None = None
) -> dict[str, Any]:
    """At most 20 levels per side, best first."""
    book = core.books[coin]
    sides = []
    for side in (Side.BUY, Side.SELL):
        levels = book.depth(side, 1_000)
        if figures is not None:
            levels = _aggregated(levels, side, figures, mantissa or 1)
        sides.append(levels[:20])
    view: dict[str, Any] = {
        "coin": coin,
        "time": core.now_ms(),
        "levels": [[_level(level) for level in levels] for levels in sides],
    }
    if figures is not None and all(sides):
        view["spread"] = venue_number(sides[1][0].price - sides[0][0].price)
    return view


def _best_level(book: CoinBook, side: Side) -> dict[str, Any] | None:
    levels = book.depth(side, 1)
    return _level(levels[0]) if levels else None


def bbo(core: Core, coin: str) -> dict[str, Any]:
    """Best bid and ask."""
    book = core.books[coin]
    pair = [_best_level(book, side) for side in (Side.BUY, Side.SELL)]
    return {"coin": coin, "time": core.now_ms(), "bbo": pair}


def recent_trades(core: Core, coin: str, count: int) -> list[dict[str, Any]]:
    """The last trades, newest first."""
    trades = core.state.markets[coin].trades[-count:]
    return [trade_view(trade) for trade in reversed(trades)]
