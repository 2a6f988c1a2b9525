"""What `/info` says of balances, margin, fees and funding (hyperliquid.md 2.2)."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from fractaltrader.simulator.clearing.accounts import MAKER_RATE, TAKER_RATE
from fractaltrader.simulator.core import Core
from fractaltrader.simulator.numbers import venue_number
from fractaltrader.simulator.protocol import clearing_views as views
from fractaltrader.simulator.protocol.fields import Request, coin_of, text_of, user_of


def _user_fees(core: Core, request: Request) -> Any:
    user_of(request)
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


def _active_asset_data(core: Core, request: Request) -> Any:
    coin = coin_of(core, request)
    if coin is None or core.books[coin].mid is None:
        return None
    return views.active_asset_data(core, user_of(request), coin)


def _funding_history(_core: Core, request: Request) -> Any:
    text_of(request, "coin")
    return []


def _user_funding(_core: Core, request: Request) -> Any:
    user_of(request)
    return []


def _clearinghouse_state(core: Core, request: Request) -> Any:
    return views.clearinghouse_state(core, user_of(request))


def _spot_clearinghouse_state(_core: Core, request: Request) -> Any:
    user_of(request)
    return {"balances": []}


HANDLERS: dict[str, Callable[[Core, Request], Any]] = {
    "clearinghouseState": _clearinghouse_state,
    "spotClearinghouseState": _spot_clearinghouse_state,
    "activeAssetData": _active_asset_data,
    "userFees": _user_fees,
    "userFunding": _user_funding,
    "fundingHistory": _funding_history,
}
