"""What `/info` says of markets (hyperliquid.md 2.1)."""

from collections.abc import Callable
from typing import Any

from fractaltrader.simulator.core import Core
from fractaltrader.simulator.protocol import market_views as markets
from fractaltrader.simulator.protocol.fields import (
    FAR_FUTURE_MS,
    Request,
    candle_interval,
    coin_of,
    text_of,
    time_of,
)
from fractaltrader.simulator.protocol.forms import UnprocessableError

RECENT_TRADES = 10


def _candle_snapshot(core: Core, request: Request) -> Any:
    wanted = request.get("req")
    if not isinstance(wanted, dict):
        raise UnprocessableError("missing field `req`")
    coin = coin_of(core, wanted)
    if coin is None:
        return []
    timeframe = candle_interval(core, coin, text_of(wanted, "interval"))
    start = time_of(wanted, "startTime")
    end = time_of(wanted, "endTime", FAR_FUTURE_MS)
    return core.candles[coin].snapshot(timeframe, start, end)


def _l2_book(core: Core, request: Request) -> Any:
    coin = coin_of(core, request)
    if coin is None:
        return None
    figures, mantissa = request.get("nSigFigs"), request.get("mantissa")
    if figures not in (None, 2, 3, 4, 5) or mantissa not in (None, 1, 2, 5):
        raise UnprocessableError("invalid nSigFigs or mantissa")
    return markets.l2_book(core, coin, figures, mantissa)


def _recent_trades(core: Core, request: Request) -> Any:
    coin = coin_of(core, request)
    return [] if coin is None else markets.recent_trades(core, coin, RECENT_TRADES)


HANDLERS: dict[str, Callable[[Core, Request], Any]] = {
    "meta": lambda core, _: markets.meta(core),
    "metaAndAssetCtxs": lambda core, _: [markets.meta(core), markets.asset_contexts(core)],
    "spotMeta": lambda _core, _: markets.SPOT_META,
    "spotMetaAndAssetCtxs": lambda _core, _: [markets.SPOT_META, []],
    "perpDexs": lambda _core, _: [None],
    "allMids": lambda core, _: markets.all_mids(core),
    "l2Book": _l2_book,
    "recentTrades": _recent_trades,
    "candleSnapshot": _candle_snapshot,
    "exchangeStatus": lambda core, _: {"specialStatuses": None, "time": core.now_ms()},
}
