"""Markets as `/info` and the streams show them (hyperliquid.md 2.1)."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from fractaltrader.exchange.port import Side
from fractaltrader.simulator.candles import day_ago_price, volume_since
from fractaltrader.simulator.core import Core
from fractaltrader.simulator.numbers import ZERO, venue_number
from fractaltrader.simulator.protocol.views import trade_view
from fractaltrader.simulator.trading.book import CoinBook, Level

DAY_MS = 86_400_000
RESTING_FUNDING = "0.0000125"

SPOT_META: dict[str, Any] = {
    "universe": [],
    "tokens": [
        {
            "name": "USDC",
            "szDecimals": 8,
            "weiDecimals": 8,
            "index": 0,
            "tokenId": "0xeb62eee3685fc4c43992febcd9e75443",
            "isCanonical": True,
            "evmContract": None,
            "fullName": None,
            "deployerTradingFeeShare": "0.0",
        }
    ],
}


def meta(core: Core) -> dict[str, Any]:
    """The universe in asset order; every margin table has a single tier."""
    instruments = [core.by_asset[asset] for asset in sorted(core.by_asset)]
    limits = sorted({item.max_leverage for item in instruments})
    return {
        "universe": [
            {
                "szDecimals": item.sz_decimals,
                "name": item.coin,
                "maxLeverage": item.max_leverage,
                "marginTableId": item.max_leverage,
            }
            for item in instruments
        ],
        "marginTables": [
            [
                limit,
                {
                    "description": "",
                    "marginTiers": [{"lowerBound": "0.0", "maxLeverage": limit}],
                },
            ]
            for limit in limits
        ],
        "collateralToken": 0,
    }


def all_mids(core: Core) -> dict[str, str]:
    """Mid price by coin; coins without a price are absent."""
    return {
        coin: venue_number(book.mid) for coin, book in core.books.items() if book.mid is not None
    }


def asset_context(core: Core, coin: str) -> dict[str, Any]:
    """Prices, volume and open interest of one coin."""
    book = core.books[coin]
    series = core.candles[coin]
    now = core.now_ms()
    base_volume = volume_since(series, now - DAY_MS, now)
    mid = book.mid
    previous = day_ago_price(series, now) or mid or ZERO
    held = (account.positions.get(coin) for account in core.state.accounts.values())
    longs = sum((item.size for item in held if item is not None and item.size > 0), ZERO)
    price = venue_number(mid or previous)
    best = [book.best(side) for side in (Side.BUY, Side.SELL)]
    impact = [venue_number(quote.price) for quote in best if quote is not None]
    return {
        "funding": RESTING_FUNDING,
        "openInterest": venue_number(longs),
        "prevDayPx": venue_number(previous),
        "dayNtlVlm": venue_number(base_volume * (mid or previous)),
        "premium": None if mid is None else "0.0",
        "oraclePx": price,
        "markPx": price,
        "midPx": None if mid is None else price,
        "impactPxs": impact if mid is not None else None,
        "dayBaseVlm": venue_number(base_volume),
    }


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
