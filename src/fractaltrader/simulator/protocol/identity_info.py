"""What `/info` says of who an address is and what it may still do (hyperliquid.md 2.2)."""

from collections.abc import Callable
from typing import Any

from fractaltrader.simulator.core import Core
from fractaltrader.simulator.numbers import venue_number
from fractaltrader.simulator.protocol.fields import Request, user_of

REQUESTS_FREE = 10_000


def _user_rate_limit(core: Core, request: Request) -> Any:
    account = core.account_or_empty(user_of(request))
    return {
        "cumVlm": venue_number(account.volume),
        "nRequestsUsed": account.requests,
        "nRequestsCap": REQUESTS_FREE + int(account.volume),
        "nRequestsSurplus": 0,
    }


def _user_role(core: Core, request: Request) -> Any:
    return {"role": "user" if user_of(request) in core.state.accounts else "missing"}


def _extra_agents(_core: Core, request: Request) -> Any:
    user_of(request)
    return []


HANDLERS: dict[str, Callable[[Core, Request], Any]] = {
    "userRateLimit": _user_rate_limit,
    "userRole": _user_role,
    "extraAgents": _extra_agents,
}
