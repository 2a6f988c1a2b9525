"""`webData2` and `webData3`: everything about a user at once (hyperliquid.md 2.2, 5.2)."""

from typing import Any

from fractaltrader.simulator.core import Core
from fractaltrader.simulator.numbers import venue_number
from fractaltrader.simulator.protocol.identity.agents import agents_of
from fractaltrader.simulator.protocol.views import markets
from fractaltrader.simulator.protocol.views.clearing import clearinghouse_state, spot_state
from fractaltrader.simulator.protocol.views.order_queries import frontend_open_orders
from fractaltrader.simulator.protocol.views.twaps import twap_states


def _user_state(core: Core, user: str) -> dict[str, Any]:
    """The unnamed agent shows here and nowhere else; times are the clients' clock's."""
    unnamed = [item for item in agents_of(core, user).items() if item[1].name is None]
    address, agent = unnamed[0] if unnamed else (None, None)
    return {
        "agentAddress": address,
        "agentValidUntil": None if agent is None else agent.valid_until_ms,
        "cumLedger": venue_number(core.account_or_empty(user).deposited),
        "serverTime": core.now_ms(),
        "isVault": False,
        "user": user,
    }


def web_data_2(core: Core, user: str) -> dict[str, Any]:
    """The legacy form, with the market's metadata and contexts."""
    return {
        "clearinghouseState": clearinghouse_state(core, user),
        "leadingVaults": [],
        "totalVaultEquity": "0.0",
        "openOrders": frontend_open_orders(core, user),
        **_user_state(core, user),
        "meta": markets.meta(core),
        "assetCtxs": markets.asset_contexts(core),
        "twapStates": twap_states(core, user),
        "spotState": spot_state(core, user),
        "spotAssetCtxs": [],
        "perpsAtOpenInterestCap": markets.at_open_interest_cap(core),
    }


def web_data_3(core: Core, user: str) -> dict[str, Any]:
    """The present form; `perpsAtOpenInterestCap` is left out when there is none."""
    dex: dict[str, Any] = {"totalVaultEquity": "0.0"}
    capped = markets.at_open_interest_cap(core)
    if capped:
        dex["perpsAtOpenInterestCap"] = capped
    return {"userState": _user_state(core, user), "perpDexStates": [dex]}
