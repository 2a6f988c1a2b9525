"""POST /info: every question the exchange answers (hyperliquid.md section 2)."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from fractaltrader.errors import UserError
from fractaltrader.market import Timeframe
from fractaltrader.simulator import account_views as accounts
from fractaltrader.simulator import market_views as markets
from fractaltrader.simulator.accounts import MAKER_RATE, TAKER_RATE
from fractaltrader.simulator.core import Core
from fractaltrader.simulator.numbers import venue_number
from fractaltrader.simulator.state import Fill
from fractaltrader.simulator.views import fill_view
from fractaltrader.simulator.wire import UnprocessableError, address_of

Request = dict[str, Any]
FAR_FUTURE_MS = 1 << 53
FILLS_PER_PAGE = 2_000
RECENT_TRADES = 10
REQUESTS_FREE = 10_000


def answer(core: Core, request: object) -> Any:
    """The answer to an `/info` request; raises UnprocessableError for an unknown or wrong one."""
    if not isinstance(request, dict):
        raise UnprocessableError("expected an object")
    handler = _HANDLERS.get(request.get("type", ""))
    if handler is None:
        raise UnprocessableError(f"unknown variant {request.get('type')!r}")
    if request.get("dex"):
        raise UnprocessableError(f"unknown dex {request['dex']!r}")
    return handler(core, request)


def _user(request: Request) -> str:
    return address_of(request.get("user"))


def _text(request: Request, key: str) -> str:
    value = request.get(key)
    if not isinstance(value, str):
        raise UnprocessableError(f"missing field `{key}`")
    return value


def _time(request: Request, key: str, default: int | None = None) -> int:
    value = request.get(key)
    if value is None and default is not None:
        return default
    if not isinstance(value, int) or isinstance(value, bool):
        raise UnprocessableError(f"missing field `{key}`")
    return value


def _known_coin(core: Core, request: Request) -> str | None:
    coin = _text(request, "coin")
    return coin if coin in core.books else None


def candle_interval(core: Core, coin: str, interval: str) -> Timeframe:
    """The interval, when it can be built from the coin's base bars; else UnprocessableError."""
    try:
        timeframe = Timeframe.parse(interval)
    except UserError:
        raise UnprocessableError(f"unknown interval {interval!r}") from None
    if timeframe.ms % core.candles[coin].timeframe.ms:
        raise UnprocessableError(f"no {interval} candles of {coin} in this market")
    return timeframe


def _candle_snapshot(core: Core, request: Request) -> Any:
    wanted = request.get("req")
    if not isinstance(wanted, dict):
        raise UnprocessableError("missing field `req`")
    coin = _known_coin(core, wanted)
    if coin is None:
        return []
    timeframe = candle_interval(core, coin, _text(wanted, "interval"))
    start = _time(wanted, "startTime")
    end = _time(wanted, "endTime", FAR_FUTURE_MS)
    return core.candles[coin].snapshot(timeframe, start, end)


def _l2_book(core: Core, request: Request) -> Any:
    coin = _known_coin(core, request)
    if coin is None:
        return None
    figures, mantissa = request.get("nSigFigs"), request.get("mantissa")
    if figures not in (None, 2, 3, 4, 5) or mantissa not in (None, 1, 2, 5):
        raise UnprocessableError("invalid nSigFigs or mantissa")
    return markets.l2_book(core, coin, figures, mantissa)


def _recent_trades(core: Core, request: Request) -> Any:
    coin = _known_coin(core, request)
    return [] if coin is None else markets.recent_trades(core, coin, RECENT_TRADES)


def _order_status(core: Core, request: Request) -> Any:
    reference = request.get("oid")
    if isinstance(reference, bool) or not isinstance(reference, int | str):
        raise UnprocessableError("missing field `oid`")
    if isinstance(reference, str):
        reference = reference.lower()
    return accounts.order_status(core, _user(request), reference)


def _historical_orders(core: Core, request: Request) -> Any:
    return accounts.historical_orders(core, _user(request), FILLS_PER_PAGE)


def _fills(core: Core, request: Request) -> list[Fill]:
    return accounts.account_or_empty(core, _user(request)).fills


def _user_fills(core: Core, request: Request) -> Any:
    return [fill_view(fill) for fill in reversed(_fills(core, request)[-FILLS_PER_PAGE:])]


def _user_fills_by_time(core: Core, request: Request) -> Any:
    start, end = _time(request, "startTime"), _time(request, "endTime", FAR_FUTURE_MS)
    found = [fill for fill in _fills(core, request) if start <= fill.time_ms <= end]
    if request.get("reversed"):
        found.reverse()
    return [fill_view(fill) for fill in found[:FILLS_PER_PAGE]]


def _user_fees(core: Core, request: Request) -> Any:
    _user(request)
    taker, maker = venue_number(TAKER_RATE), venue_number(MAKER_RATE)
    today = datetime.fromtimestamp(core.now_ms() / 1000, UTC).strftime("%Y-%m-%d")
    no_discount = {"bpsOfMaxSupply": "0.0", "discount": "0.0"}
    return {
        "dailyUserVlm": [{"date": today, "userCross": "0.0", "userAdd": "0.0", "exchange": "0.0"}],
        "feeSchedule": {
            "cross": taker,
            "add": maker,
            "spotCross": "0.0007",
            "spotAdd": "0.0004",
            "tiers": {"vip": [], "mm": []},
            "referralDiscount": "0.04",
            "stakingDiscountTiers": [no_discount],
        },
        "userCrossRate": taker,
        "userAddRate": maker,
        "userSpotCrossRate": "0.0007",
        "userSpotAddRate": "0.0004",
        "activeReferralDiscount": "0.0",
        "trial": None,
        "feeTrialEscrow": "0.0",
        "nextTrialAvailableTimestamp": None,
        "stakingLink": None,
        "activeStakingDiscount": no_discount,
    }


def _user_rate_limit(core: Core, request: Request) -> Any:
    account = accounts.account_or_empty(core, _user(request))
    return {
        "cumVlm": venue_number(account.volume),
        "nRequestsUsed": account.requests,
        "nRequestsCap": REQUESTS_FREE + int(account.volume),
        "nRequestsSurplus": 0,
    }


def _user_role(core: Core, request: Request) -> Any:
    return {"role": "user" if _user(request) in core.state.accounts else "missing"}


def _active_asset_data(core: Core, request: Request) -> Any:
    coin = _known_coin(core, request)
    if coin is None or core.books[coin].mid is None:
        return None
    return accounts.active_asset_data(core, _user(request), coin)


def _funding_history(_core: Core, request: Request) -> Any:
    _text(request, "coin")
    return []


def _nothing_for_user(core: Core, request: Request) -> Any:
    _user(request)
    return []


_HANDLERS: dict[str, Callable[[Core, Request], Any]] = {
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
    "fundingHistory": _funding_history,
    "clearinghouseState": lambda core, request: accounts.clearinghouse_state(core, _user(request)),
    "spotClearinghouseState": lambda _core, request: {
        "balances": _nothing_for_user(_core, request)
    },
    "openOrders": lambda core, request: accounts.open_orders(core, _user(request)),
    "frontendOpenOrders": lambda core, request: accounts.frontend_open_orders(core, _user(request)),
    "orderStatus": _order_status,
    "historicalOrders": _historical_orders,
    "userFills": _user_fills,
    "userFillsByTime": _user_fills_by_time,
    "userFees": _user_fees,
    "userRateLimit": _user_rate_limit,
    "userRole": _user_role,
    "activeAssetData": _active_asset_data,
    "userFunding": _nothing_for_user,
    "extraAgents": _nothing_for_user,
}
