"""What `/info` says of markets (hyperliquid.md 2.1)."""

from collections.abc import Callable
from typing import Any

from fractaltrader.simulator.core import Core
from fractaltrader.simulator.month_candles import months
from fractaltrader.simulator.protocol.forms.common import UnprocessableError
from fractaltrader.simulator.protocol.info.fields import (
    FAR_FUTURE_MS,
    Request,
    candle_interval,
    coin_of,
    text_of,
    time_of,
    user_of,
)
from fractaltrader.simulator.protocol.views import markets
from fractaltrader.simulator.protocol.views.web_data import web_data_2

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
    if timeframe is None:
        return months(core.candles[coin], start, end)
    return core.candles[coin].snapshot(timeframe, start, end)


def _l2_book(core: Core, request: Request) -> Any:
    coin = coin_of(core, request)
    if coin is None:
        return None
    figures, mantissa = request.get("nSigFigs"), request.get("mantissa")
    for value, allowed in ((figures, (2, 3, 4, 5)), (mantissa, (1, 2, 5))):
        if value is not None and (type(value) is not int or value not in allowed):
            raise UnprocessableError("invalid nSigFigs or mantissa")
    return markets.l2_book(core, coin, figures, mantissa)


def _recent_trades(core: Core, request: Request) -> Any:
    coin = coin_of(core, request)
    return [] if coin is None else markets.recent_trades(core, coin, RECENT_TRADES)


def _token_details(core: Core, request: Request) -> Any:
    """USDC is the only token; null for any other."""
    token = text_of(request, "tokenId")
    usdc = markets.spot_meta(core)["tokens"][0]
    if token != usdc["tokenId"]:
        return None
    return {
        "name": usdc["name"],
        "maxSupply": "0.0",
        "totalSupply": "0.0",
        "circulatingSupply": "0.0",
        "szDecimals": usdc["szDecimals"],
        "weiDecimals": usdc["weiDecimals"],
        "midPx": "1.0",
        "markPx": "1.0",
        "prevDayPx": "1.0",
        "genesis": None,
        "deployer": None,
        "deployGas": None,
        "deployTime": None,
        "seededUsdc": "0.0",
        "nonCirculatingUserBalances": [],
        "futureEmissions": "0.0",
    }


def _web_data_2(core: Core, request: Request) -> Any:
    return web_data_2(core, user_of(request))


# An auction of names for builder-deployed dexes that nobody bids in.
_AUCTION_SECONDS = 111_600


def _deploy_auction(core: Core, _request: Request) -> Any:
    seconds = core.now_ms() // 1_000
    return {
        "startTimeSeconds": seconds - seconds % _AUCTION_SECONDS,
        "durationSeconds": _AUCTION_SECONDS,
        "startGas": "500.0",
        "currentGas": "500.0",
        "endGas": None,
    }


HANDLERS: dict[str, Callable[[Core, Request], Any]] = {
    "meta": lambda core, _: markets.meta(core),
    "metaAndAssetCtxs": lambda core, _: [markets.meta(core), markets.asset_contexts(core)],
    "allPerpMetas": lambda core, _: [markets.meta(core)],
    "spotMeta": lambda core, _: markets.spot_meta(core),
    "spotMetaAndAssetCtxs": lambda core, _: [markets.spot_meta(core), []],
    "tokenDetails": _token_details,
    "outcomeMeta": lambda _core, _: {"outcomes": [], "questions": []},
    "perpDexs": lambda _core, _: [None],
    # Builder-deployed dexes have limits and a status; there are none of them here.
    "perpDexLimits": lambda _core, _: None,
    "perpDexStatus": markets.dex_status,
    "perpDeployAuctionStatus": _deploy_auction,
    "webData2": _web_data_2,
    "allMids": lambda core, _: markets.all_mids(core),
    "l2Book": _l2_book,
    "recentTrades": _recent_trades,
    "candleSnapshot": _candle_snapshot,
    "exchangeStatus": lambda core, _: {"specialStatuses": None, "time": core.now_ms()},
}
