"""Topics about markets (hyperliquid.md 5.2).

Cadences are the measured ones where they differ from the documented (hyperliquid.md 12).
"""

import base64
import zlib
from typing import Any

import msgspec

from fractaltrader.market import Timeframe
from fractaltrader.simulator.core import Core
from fractaltrader.simulator.month_candles import MONTH, this_month
from fractaltrader.simulator.protocol.topics.topic import OPTIONAL, REQUIRED, Subscription, Topic
from fractaltrader.simulator.protocol.views import markets

TRADES_REPLAYED = 30
BOOK_MS = 5_000
FAST_BOOK_MS = 500
FAST_LEVELS = 5
MIDS_MS = 5_000
CONTEXT_MS = 1_000


def _all_mids(core: Core, _wanted: Subscription) -> Any:
    return {"mids": markets.all_mids(core)}


def _l2_book(core: Core, wanted: Subscription) -> Any:
    view = markets.l2_book(core, wanted["coin"], wanted["nSigFigs"], wanted["mantissa"])
    if wanted["fast"]:
        view["levels"] = [levels[:FAST_LEVELS] for levels in view["levels"]]
        view["fast"] = True
    return view


def _bbo(core: Core, wanted: Subscription) -> Any:
    return markets.bbo(core, wanted["coin"])


def _bbo_change(old: Any, new: Any) -> Any:
    return None if old is not None and old["bbo"] == new["bbo"] else new


def _recent_trades(core: Core, wanted: Subscription) -> Any:
    return markets.recent_trades(core, wanted["coin"], TRADES_REPLAYED) or None


def _candle(core: Core, wanted: Subscription) -> Any:
    series, interval = core.candles[wanted["coin"]], wanted["interval"]
    return this_month(series) if interval == MONTH else series.current(Timeframe.parse(interval))


def _candle_change(old: Any, new: Any) -> Any:
    return None if old == new else new


def _active_context(core: Core, wanted: Subscription) -> Any:
    coin = wanted["coin"]
    return {"coin": coin, "ctx": markets.asset_context(core, coin)}


def _all_contexts(core: Core, _wanted: Subscription) -> Any:
    return {"ctxs": [["", markets.asset_contexts(core)]]}


def _dex_contexts(core: Core, wanted: Subscription) -> Any:
    return {"dex": wanted["dex"], "ctxs": markets.asset_contexts(core)}


def _fast_contexts(core: Core, _wanted: Subscription) -> Any:
    return {coin: markets.fast_context(core, coin) for coin in core.books}


def _fast_change(old: Any, new: Any) -> Any:
    """Only the coins and fields that changed."""
    if old is None:
        return new
    changed = {
        coin: {key: value for key, value in fields.items() if old.get(coin, {}).get(key) != value}
        for coin, fields in new.items()
    }
    return {coin: fields for coin, fields in changed.items() if fields} or None


def _deflated(value: Any) -> str:
    """Base64 of the raw DEFLATE of the JSON."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    packed = packer.compress(msgspec.json.encode(value)) + packer.flush()
    return base64.b64encode(packed).decode()


def book_period(wanted: Subscription) -> int:
    """How often an `l2Book` subscription is pushed, market milliseconds."""
    return FAST_BOOK_MS if wanted["fast"] else BOOK_MS


_BOOK_FIELDS = {"coin": REQUIRED, "nSigFigs": None, "mantissa": None, "fast": False}

MARKET_TOPICS: dict[str, Topic] = {
    "allMids": Topic({"dex": OPTIONAL}, _all_mids, MIDS_MS),
    "l2Book": Topic(_BOOK_FIELDS, _l2_book, BOOK_MS),
    "bbo": Topic({"coin": REQUIRED}, _bbo, 0, change=_bbo_change),
    "trades": Topic({"coin": REQUIRED}, _recent_trades),
    "candle": Topic({"coin": REQUIRED, "interval": REQUIRED}, _candle, 0, change=_candle_change),
    "activeAssetCtx": Topic({"coin": REQUIRED}, _active_context, CONTEXT_MS),
    "fastAssetCtxs": Topic({}, _fast_contexts, CONTEXT_MS, change=_fast_change, wire=_deflated),
    "allDexsAssetCtxs": Topic({}, _all_contexts, CONTEXT_MS),
    "assetCtxs": Topic({"dex": ""}, _dex_contexts, CONTEXT_MS),
    "spotAssetCtxs": Topic({}, lambda _core, _wanted: [], CONTEXT_MS),
    "outcomeMetaUpdates": Topic({}),
}
