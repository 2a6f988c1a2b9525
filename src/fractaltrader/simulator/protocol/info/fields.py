"""Reading the fields of an `/info` request; UnprocessableError for one that is amiss."""

from typing import Any

from fractaltrader.errors import UserError
from fractaltrader.market import Timeframe
from fractaltrader.simulator.core import Core
from fractaltrader.simulator.month_candles import DAY, MONTH
from fractaltrader.simulator.protocol.forms.common import UnprocessableError, address_of

Request = dict[str, Any]
FAR_FUTURE_MS = 1 << 53


def user_of(request: Request) -> str:
    return address_of(request.get("user"))


def text_of(request: Request, key: str) -> str:
    value = request.get(key)
    if not isinstance(value, str):
        raise UnprocessableError(f"missing field `{key}`")
    return value


def time_of(request: Request, key: str, default: int | None = None) -> int:
    value = request.get(key)
    if value is None and default is not None:
        return default
    if not isinstance(value, int) or isinstance(value, bool):
        raise UnprocessableError(f"missing field `{key}`")
    return value


def coin_of(core: Core, request: Request) -> str | None:
    coin = text_of(request, "coin")
    return coin if coin in core.books else None


def candle_interval(core: Core, coin: str, interval: str) -> Timeframe | None:
    """The interval, None for a calendar month, when it can be built from the coin's base bars.

    Else UnprocessableError.
    """
    try:
        timeframe = DAY if interval == MONTH else Timeframe.parse(interval)
    except UserError:
        raise UnprocessableError(f"unknown interval {interval!r}") from None
    if timeframe.ms % core.candles[coin].timeframe.ms:
        raise UnprocessableError(f"no {interval} candles of {coin} in this market")
    return None if interval == MONTH else timeframe
